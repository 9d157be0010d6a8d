#include "src/device/elementwise_kernels.h"
#include "src/ops/cuda_ops.h"
#include "src/tensor/real.h"

namespace lockstep::cuda {

void add(Exec exec, ConstTensor a, ConstTensor b, Tensor y) {
  with_real(y.dtype(), [&]<Real T>(T) {
    zip(compute_stream(exec), Add{}, a.data<T>(), b.data<T>(), y.data<T>(), y.elements());
  });
}

}  // namespace lockstep::cuda
