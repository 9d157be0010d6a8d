#pragma once

namespace lockstep::cuda {

/// kWidth neighbouring elements, read and written at once: in .cu files, at most 16 bytes.
template <typename T, int kWidth>
struct alignas(sizeof(T) * kWidth) Adjacent {
  T values[kWidth];
};

}  // namespace lockstep::cuda
