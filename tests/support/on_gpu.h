#pragma once

// For tests of the emulator itself.
#include <numeric>
#include <vector>

#include "src/device/kernels/launch.h"
#include "src/device/kernels/previous_kernel.h"
#include "src/device/libraries/handle.h"
#include "tests/support/emulator/error.h"

namespace lockstep {

/// Memory of the emulated GPU, filled and read by copies.
template <typename T>
class OnGpu {
 public:
  explicit OnGpu(std::vector<T> values) : count_(values.size()) {
    CHECK(cudaStreamCreateWithPriority(stream_.out(), cudaStreamNonBlocking, 0));
    CHECK(cudaMalloc(memory_.out(), count_ * sizeof(T)));
    CHECK(cudaMemcpyAsync(memory_.get(), values.data(), count_ * sizeof(T), cudaMemcpyDefault, stream()));
  }
  OnGpu(size_t count, T value) : OnGpu(std::vector<T>(count, value)) {}
  ~OnGpu() { emulator::forget_failed_work(); }

  cudaStream_t stream() const { return stream_.get(); }
  T* get() const { return static_cast<T*>(memory_.get()); }
  /// After all kernels on stream().
  std::vector<T> values() const {
    std::vector<T> result(count_);
    CHECK(cudaMemcpyAsync(result.data(), memory_.get(), count_ * sizeof(T), cudaMemcpyDefault, stream()));
    return result;
  }

 private:
  size_t count_;
  Handle<cudaStream_t, cudaStreamDestroy> stream_;
  Handle<void*, cudaFree> memory_;
};
inline std::vector<int> count_up(size_t n) {
  std::vector<int> values(n);
  std::iota(values.begin(), values.end(), 0);
  return values;
}
}  // namespace lockstep
