#pragma once

// What the header of the emulated runtime needs of its library.
#include <cstddef>
#include <functional>

#include "tests/support/emulator/vector_types.h"

struct CUstream_st;

namespace emulator {

struct LaunchShape {
  dim3 grid, block;
  size_t shared_bytes = 0;
  CUstream_st* stream = nullptr;
  bool early = false;  ///< may start before the kernel before it has finished
};

/// Checks the shape against the limits of compute capability 9.0 and enqueues the kernel; returns a
/// cudaError_t. body runs one thread. In a capture, an early launch must come after one kernel and nothing
/// else: what happens otherwise is not documented.
int launch_kernel(const LaunchShape& shape, const void* kernel, std::function<void()> body);

}  // namespace emulator
