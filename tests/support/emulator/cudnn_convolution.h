#pragma once

// The convolutions of the emulated cuDNN: what they are asked, and how they are computed.
#include "tests/support/emulator/cudnn_descriptors.h"

namespace emulator::cudnn {

enum class Direction { forward, data, filter };

struct Problem {
  Tensor x, w, y;
  Convolution convolution;

  /// Whether the documentation does not say which algorithms there are.
  bool is_left_open() const {
    return convolution.groups > 1 && (convolution.groups == x.c || convolution.axes == 3);
  }
  /// As any math type but CUDNN_FMA_MATH may be understood to permit it.
  bool rounds_to_tf32() const { return x.type == CUDNN_DATA_FLOAT && convolution.math != CUDNN_FMA_MATH; }
};

struct Arguments {
  const void *x, *w, *y;
  void* result;  ///< which of the three it is, the direction says
  float alpha, beta;
  void* workspace;
};

/// Adds up in double, tap by tap, and rounds the factors to TF32 where the math type permits it.
/// scratch_bytes of the workspace are overwritten first. A steady sum is the same each time.
void run(Direction direction, const Problem& problem, const Arguments& arguments, size_t scratch_bytes,
         bool steady);

/// Enqueues run(). Refuses the null stream, memory that overlaps, and elements of two bytes at an address
/// that is not a multiple of 16, which tensor cores read at once.
cudnnStatus_t start(cudaStream_t stream, Direction direction, const Problem& problem,
                    const Arguments& arguments, size_t scratch_bytes, bool steady);

}  // namespace emulator::cudnn
