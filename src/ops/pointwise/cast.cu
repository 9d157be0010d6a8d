#include "src/device/kernels/launch.h"
#include "src/ops/cuda_ops.h"
#include "src/tensor/narrow.h"

namespace lockstep::cuda {

void cast(Exec exec, ConstTensor x, Tensor y) {
  if (y.dtype() == DType::f32)
    widen(compute_stream(exec), x.dtype(), static_cast<const uint16_t*>(x.raw()), y.data<float>(),
          y.elements());
  else
    narrow(compute_stream(exec), y.dtype(), x.data<float>(), static_cast<uint16_t*>(y.raw()), y.elements());
}

}  // namespace lockstep::cuda
