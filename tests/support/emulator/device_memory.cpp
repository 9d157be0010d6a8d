#include "tests/support/emulator/device_memory.h"

#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "tests/support/emulator/account/account.h"
#include "tests/support/emulator/error.h"
#include "tests/support/emulator/graph.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace emulator {

namespace {

constexpr size_t kDeviceBytes = size_t{account::kEnabled ? 128 : 2} << 30;
constexpr int kGarbage = 0xff;  // as floats: NaN

/// Allocations and their sizes.
using Allocations = std::map<const std::byte*, size_t>;

Allocations& device_memory() {
  static Allocations all;
  return all;
}
Allocations& pinned_memory() {
  static Allocations all;
  return all;
}
size_t used_bytes = 0;
int accesses = 0;

bool lies_in(const Allocations& allocations, const void* pointer) {
  const auto* address = static_cast<const std::byte*>(pointer);
  auto after = allocations.upper_bound(address);
  if (after == allocations.begin()) return false;
  --after;
  return address < after->first + after->second;
}

void lock_memory([[maybe_unused]] bool locked) {
#if defined(__SANITIZE_ADDRESS__)
  for (const auto& [address, bytes] : device_memory()) {
    if (locked)
      __asan_poison_memory_region(address, bytes);
    else
      __asan_unpoison_memory_region(address, bytes);
  }
#endif
}

cudaError_t allocate(Allocations& allocations, void** pointer, size_t bytes) {
  if (const cudaError_t refused = refuse_in_capture()) return refused;
  return running([&] {
    *pointer = nullptr;
    if (bytes == 0) return cudaSuccess;
    const bool device = &allocations == &device_memory();
    if (device && bytes > kDeviceBytes - used_bytes) return cudaErrorMemoryAllocation;
    if (device && account::kEnabled) {
      *pointer = account::allocate(bytes);
      if (*pointer == nullptr) return cudaErrorMemoryAllocation;
    } else {
      if (posix_memalign(pointer, 256, bytes) != 0) return cudaErrorMemoryAllocation;
      std::memset(*pointer, kGarbage, bytes);
    }
    allocations[static_cast<std::byte*>(*pointer)] = bytes;
    if (device) {
      used_bytes += bytes;
#if defined(__SANITIZE_ADDRESS__)
      __asan_poison_memory_region(*pointer, bytes);
#endif
    }
    return cudaSuccess;
  });
}

/// Waits for all work first, as the real one does.
cudaError_t release(Allocations& allocations, void* pointer) {
  if (pointer == nullptr) return cudaSuccess;
  if (const cudaError_t refused = refuse_in_capture()) return refused;
  return running([&] {
    run_everything();
    const auto found = allocations.find(static_cast<std::byte*>(pointer));
    if (found == allocations.end()) return cudaErrorInvalidValue;
#if defined(__SANITIZE_ADDRESS__)
    __asan_unpoison_memory_region(pointer, found->second);
#endif
    const bool device = &allocations == &device_memory();
    if (device) used_bytes -= found->second;
    if (device && account::kEnabled)
      account::release(pointer, found->second);
    else
      std::free(pointer);
    allocations.erase(found);
    return cudaSuccess;
  });
}

}  // namespace

bool is_device_memory(const void* memory, size_t bytes) {
  const std::lock_guard lock(runtime_lock());
  const auto* address = static_cast<const std::byte*>(memory);
  auto after = device_memory().upper_bound(address);
  if (after == device_memory().begin()) return false;
  --after;
  const auto at = static_cast<size_t>(address - after->first);
  return at <= after->second && bytes <= after->second - at;
}

HostCode::HostCode() : accesses_(std::exchange(accesses, 0)) { lock_memory(true); }
HostCode::~HostCode() {
  accesses = accesses_;
  if (accesses > 0) lock_memory(false);
}

DeviceMemoryAccess::DeviceMemoryAccess() {
  if (accesses++ == 0) lock_memory(false);
}

DeviceMemoryAccess::~DeviceMemoryAccess() {
  if (--accesses == 0) lock_memory(true);
}

}  // namespace emulator

cudaError_t cudaMalloc(void** pointer, size_t bytes) {
  return emulator::allocate(emulator::device_memory(), pointer, bytes);
}

cudaError_t cudaFree(void* pointer) { return emulator::release(emulator::device_memory(), pointer); }

cudaError_t cudaMallocHost(void** pointer, size_t bytes) {
  return emulator::allocate(emulator::pinned_memory(), pointer, bytes);
}

cudaError_t cudaFreeHost(void* pointer) { return emulator::release(emulator::pinned_memory(), pointer); }

cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total_bytes) {
  const std::lock_guard lock(emulator::runtime_lock());
  *free_bytes = emulator::kDeviceBytes - emulator::used_bytes;
  *total_bytes = emulator::kDeviceBytes;
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* destination, int value, size_t bytes, cudaStream_t stream) {
  return emulator::running([&] {
    if (!emulator::lies_in(emulator::device_memory(), destination)) return cudaErrorInvalidValue;
    emulator::enqueue(stream, [=] {
      std::memset(destination, value, bytes);
      emulator::account::count_call("memset", {}, 0, 0, bytes);
    });
    return cudaSuccess;
  });
}

cudaError_t cudaMemcpyAsync(void* destination, const void* source, size_t bytes, cudaMemcpyKind,
                            cudaStream_t stream) {
  return emulator::running([&] {
    const auto pageable = [](const void* pointer) {
      return !emulator::lies_in(emulator::device_memory(), pointer) &&
             !emulator::lies_in(emulator::pinned_memory(), pointer);
    };
    if (!pageable(source) && !pageable(destination)) {
      const bool reads = emulator::lies_in(emulator::device_memory(), source);
      const bool writes = emulator::lies_in(emulator::device_memory(), destination);
      emulator::enqueue(stream, [=] {
        std::memcpy(destination, source, bytes);
        emulator::account::count_call("memcpy", {}, 0, reads ? bytes : 0, writes ? bytes : 0);
      });
      return cudaSuccess;
    }
    if (emulator::is_capturing(stream)) {
      static_cast<void>(emulator::refuse_in_capture());
      return cudaErrorStreamCaptureUnsupported;
    }
    // "API synchronization behavior" in the runtime's reference: from pageable memory the bytes are taken
    // before the call returns, into it they are there when it returns.
    if (pageable(source)) {
      const auto* first = static_cast<const std::byte*>(source);
      const auto staged = std::make_shared<std::vector<std::byte>>(first, first + bytes);
      emulator::enqueue(stream, [=] { std::memcpy(destination, staged->data(), bytes); });
    } else {
      emulator::enqueue(stream, [=] { std::memcpy(destination, source, bytes); });
    }
    return pageable(destination) ? cudaStreamSynchronize(stream) : cudaSuccess;
  });
}
