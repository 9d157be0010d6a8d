#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "src/device/exec.h"

namespace lockstep {

enum class Memory {
  host,    ///< pageable
  pinned,  ///< page-locked host memory if there is a GPU to copy to, otherwise pageable
  device,  ///< the memory in which the Exec's kernels work: GPU memory on CUDA, host memory on the CPU
};

/// One allocation, aligned to 256 bytes and zeroed; move-only. Freed on destruction.
class Buffer {
 public:
  Buffer() = default;
  /// Throws Error(memory) that says how much was requested and where.
  Buffer(Exec exec, Memory memory, size_t bytes);
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  ~Buffer();

  std::byte* data() const { return data_; }
  size_t size() const { return bytes_; }
  template <typename T>
  std::span<T> as() const {
    return {reinterpret_cast<T*>(data_), bytes_ / sizeof(T)};
  }

 private:
  enum class Kind { none, host, cuda_pinned, cuda_device };
  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
  Kind kind_ = Kind::none;
};

/// Bytes of all buffers of this process, by where they lie.
struct BufferBytes {
  int64_t host = 0;    ///< pageable or page-locked
  int64_t device = 0;  ///< on GPUs

  int64_t total() const { return host + device; }
};

// Thread-safe.
/// At this moment.
BufferBytes buffer_bytes();
/// The maximum of each since the last restart_buffer_peak().
BufferBytes peak_buffer_bytes();
void restart_buffer_peak();

/// Copies between any two kinds of memory, enqueued on `exec`; returns immediately for pinned and device
/// memory.
void copy(Exec exec, void* destination, const void* source, size_t bytes);

/// Device memory with a copy of the values, which has been copied on return.
template <typename T>
Buffer upload(Exec exec, const std::vector<T>& values) {
  Buffer buffer(exec, Memory::device, values.size() * sizeof(T));
  copy(exec, buffer.data(), values.data(), buffer.size());
  synchronize(exec);
  return buffer;
}

/// Sets bytes to zero, enqueued on `exec`.
void fill_zero(Exec exec, void* destination, size_t bytes);

}  // namespace lockstep
