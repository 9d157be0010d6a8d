#include "src/device/elementwise_kernels.h"
#include "src/ops/cuda_ops.h"
#include "src/tensor/real.h"

namespace lockstep::cuda {

namespace {

struct Scale {
  float factor;
  __device__ float operator()(float x) const { return factor * x; }
};

}  // namespace

void scale(Exec exec, float factor, ConstTensor x, Tensor y) {
  with_real(y.dtype(), [&]<Real T>(T) {
    map(compute_stream(exec), Scale{factor}, x.data<T>(), y.data<T>(), y.elements());
  });
}

}  // namespace lockstep::cuda
