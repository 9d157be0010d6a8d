#include "src/device/elementwise.h"

#include "src/device/elementwise_kernels.h"

namespace lockstep::cuda {

namespace {

struct Same {
  __device__ float operator()(float value) const { return value; }
};

}  // namespace

void add_in_place(cudaStream_t stream, float* destination, const float* source, int64_t n) {
  zip(stream, Add{}, destination, source, destination, n);
}

void copy_few(cudaStream_t stream, float* destination, const float* source, int64_t n) {
  map(stream, Same{}, source, destination, n);
}

}  // namespace lockstep::cuda
