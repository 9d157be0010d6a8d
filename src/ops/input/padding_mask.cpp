#include "src/ops/input/padding_mask.h"

#include "src/device/with_cuda.h"
#include "src/ops/check.h"
#include "src/ops/cuda_ops.h"
#include "src/tensor/real.h"

namespace lockstep {

void padding_mask(Exec exec, int32_t padding, ConstTensor ids, Tensor mask) {
  expect(ids, DType::i32, mask.shape(), "padding_mask: ids");
  expect_real(mask, ids.shape(), "padding_mask: mask");
  if (is_empty(mask)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::padding_mask(exec, padding, ids, mask);
  }
  const int32_t* const from = ids.data<int32_t>();
  with_cpu_real(mask.dtype(), [&]<Real T>(T) {
    T* const to = mask.data<T>();
    for (int64_t i = 0; i < mask.elements(); ++i) to[i] = T(from[i] == padding ? 0.f : 1.f);
  });
}

}  // namespace lockstep
