#pragma once

// For .cu files.
#include <cuda_runtime.h>

namespace lockstep::cuda {

/// Adds many floats: a few at a time in float, and their sums in double. Nearly as exact as adding in double,
/// which is slow on most GPUs.
class LongSum {
 public:
  __device__ void add(float value) {
    few_ += value;
    if (++count_ < kFew) return;
    all_ += few_;
    few_ = 0.0f;
    count_ = 0;
  }
  __device__ double value() const { return all_ + few_; }

 private:
  static constexpr int kFew = 16;
  double all_ = 0.0;
  float few_ = 0.0f;
  int count_ = 0;
};

}  // namespace lockstep::cuda
