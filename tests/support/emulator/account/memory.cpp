// The memory of the emulated GPU in one range of addresses, so that an access to it is known by its address.
#include <sys/mman.h>

#include <cstdint>
#include <cstring>
#include <new>

#include "tests/support/emulator/account/account.h"
#include "tests/support/emulator/account/memory.h"
#include "tests/support/emulator/account/sectors.h"

namespace emulator::account {

void* reserve(size_t bytes) {
  void* const memory =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return memory;
}

std::byte* memory_begin() {
  static std::byte* const memory = static_cast<std::byte*>(reserve(kMemoryBytes));
  return memory;
}

namespace {

constexpr size_t kPage = 4096;
size_t used = 0;  ///< addresses are not used again

}  // namespace

void* allocate(size_t bytes) {
  const size_t padded = (bytes + kPage - 1) / kPage * kPage;
  if (padded > kMemoryBytes - used) return nullptr;
  void* const memory = memory_begin() + used;
  used += padded;
  return memory;
}

void release(void* memory, size_t bytes) { madvise(memory, bytes, MADV_DONTNEED); }

void clear(void* memory, size_t bytes) {
  // Whole pages are given back, which makes them zero.
  const auto begin = reinterpret_cast<uintptr_t>(memory), end = begin + bytes;
  const uintptr_t first = (begin + kPage - 1) / kPage * kPage, last = end / kPage * kPage;
  if (first >= last) {
    std::memset(memory, 0, bytes);
    return;
  }
  std::memset(memory, 0, first - begin);
  std::memset(reinterpret_cast<void*>(last), 0, end - last);
  release(reinterpret_cast<void*>(first), last - first);
}

}  // namespace emulator::account
