#pragma once

// The functions that code compiled with -fsanitize=thread calls, and what the emulator's headers have kernels
// call besides.
#include <cstddef>

namespace emulator::account {

/// fmaf(), counted.
float counted_fmaf(float a, float b, float c);
/// A warp's mma_sync() of so many products; one lane calls it.
void count_matrix_product(unsigned products);

}  // namespace emulator::account
