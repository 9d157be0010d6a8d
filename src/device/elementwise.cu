#include "src/device/elementwise.h"

#include "src/device/elementwise_kernels.h"

namespace lockstep::cuda {

void add_in_place(cudaStream_t stream, float* destination, const float* source, int64_t n) {
  zip(stream, Add{}, destination, source, destination, n);
}

}  // namespace lockstep::cuda
