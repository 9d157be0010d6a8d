// cuFile: reads files into the memory of the emulated GPU. As the real one, it knows the files and the memory
// that were registered, and nothing else.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <map>

#include "tests/support/emulator/device_memory.h"
#include "tests/support/emulator/library.h"

namespace {

enum {
  kSuccess = 0,
  kNoDriver = 5001,
  kBadPointer = 5012,
  kOutOfRange = 5017,
  kBadFile = 5018,
  kBadValue = 5022,
  kAlreadyRegistered = 5023,
  kNotRegistered = 5024,
  kNoHandle = 5027
};

struct Status {
  int error = kSuccess, cuda_error = 0;
};

struct Description {
  int type;
  union {
    int descriptor;
    void* handle;
  };
  const void* operations;
};

emulator::Handles<void*, int> files;
std::mutex memory_mutex;
std::map<const std::byte*, size_t> registered;
bool is_open = false;

/// Short reads are allowed, so some are.
constexpr size_t kMaxBytes = 1 << 14;

}  // namespace

extern "C" {

Status cuFileDriverOpen() {
  if (!emulator::can_initialize()) return {kNoDriver};
  is_open = true;
  return {};
}

Status cuFileHandleRegister(void** handle, Description* description) {
  constexpr int kLinuxDescriptor = 1;
  struct stat status {};
  if (!is_open) return {kNoDriver};
  if (description->type != kLinuxDescriptor || description->operations != nullptr) return {kBadValue};
  if (fstat(description->descriptor, &status) != 0 || !S_ISREG(status.st_mode)) return {kBadFile};
  *handle = files.add(description->descriptor);
  return {};
}

void cuFileHandleDeregister(void* handle) { files.remove(handle); }

Status cuFileBufRegister(const void* memory, size_t bytes, int flags) {
  if (flags != 0) return {kBadValue};
  if (!emulator::is_device_memory(memory, bytes)) return {kBadPointer};
  const std::lock_guard lock(memory_mutex);
  return {registered.emplace(static_cast<const std::byte*>(memory), bytes).second ? kSuccess
                                                                                  : kAlreadyRegistered};
}

Status cuFileBufDeregister(const void* memory) {
  const std::lock_guard lock(memory_mutex);
  return {registered.erase(static_cast<const std::byte*>(memory)) == 1 ? kSuccess : kNotRegistered};
}

ssize_t cuFileRead(void* handle, void* memory, size_t bytes, off_t offset, off_t at) {
  const int* const descriptor = files.find(handle);
  if (descriptor == nullptr) return -kNoHandle;
  {
    const std::lock_guard lock(memory_mutex);
    const auto found = registered.find(static_cast<const std::byte*>(memory));
    if (found == registered.end()) return -kNotRegistered;
    if (at < 0 || static_cast<size_t>(at) > found->second || bytes > found->second - static_cast<size_t>(at))
      return -kOutOfRange;
  }
  // Through memory of the host, which a file that is open with O_DIRECT needs to be aligned, as its offset.
  constexpr off_t kAlignment = 4096;
  const size_t wanted = std::min(bytes, kMaxBytes);
  const off_t begin = offset / kAlignment * kAlignment;
  alignas(kAlignment) static thread_local std::byte staged[kMaxBytes + 2 * kAlignment];
  const auto ahead = static_cast<size_t>(offset - begin);
  const size_t whole = (ahead + wanted + kAlignment - 1) / kAlignment * kAlignment;
  const ssize_t got = pread(*descriptor, staged, whole, begin);
  if (got < 0) return -1;
  if (static_cast<size_t>(got) <= ahead) return 0;
  const size_t found = std::min(static_cast<size_t>(got) - ahead, wanted);
  const cudaError_t status = emulator::running([&] {
    const emulator::DeviceMemoryAccess access;
    std::memcpy(static_cast<std::byte*>(memory) + at, staged + ahead, found);
    return cudaSuccess;
  });
  return status == cudaSuccess ? static_cast<ssize_t>(found) : -5011;
}

}  // extern "C"
