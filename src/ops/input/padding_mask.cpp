#include "src/ops/input/padding_mask.h"

#include "src/device/with_cuda.h"
#include "src/ops/check.h"
#include "src/ops/cuda_ops.h"

namespace lockstep {

void padding_mask(Exec exec, int32_t padding, ConstTensor ids, Tensor mask) {
  expect(ids, DType::i32, mask.shape(), "padding_mask: ids");
  expect(mask, DType::f32, ids.shape(), "padding_mask: mask");
  if (is_empty(mask)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::padding_mask(exec, padding, ids, mask);
  }
  const int32_t* const from = ids.data<int32_t>();
  float* const to = mask.data<float>();
  for (int64_t i = 0; i < mask.elements(); ++i) to[i] = from[i] == padding ? 0 : 1;
}

}  // namespace lockstep
