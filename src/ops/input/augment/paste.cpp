#include "src/ops/input/augment/paste.h"

#include <algorithm>

#include "src/device/with_cuda.h"
#include "src/ops/check.h"

namespace lockstep {

namespace cpu {
namespace {

void blend(float own, const float* mine, const float* partner, int64_t count, float* y) {
  const float other = 1 - own;
  for (int64_t i = 0; i < count; ++i) y[i] = own * mine[i] + other * (partner == nullptr ? 0 : partner[i]);
}

template <typename T>
void blend_row(float own, const T* mine, const T* partner, int64_t count, T* y) {
  if constexpr (std::is_same_v<T, float>) {
    if (own > 0 && own < 1) return blend(own, mine, partner, count, y);
  }
  if (own >= 0.5f)
    std::copy_n(mine, count, y);
  else if (partner == nullptr)
    std::fill_n(y, count, T{0});
  else
    std::copy_n(partner, count, y);
}

template <typename T>
void paste(const PasteSpec& spec, ConstTensor patches, ConstTensor own, ConstTensor x, Tensor y) {
  const auto* const patch_of = reinterpret_cast<const Patch*>(patches.data<int64_t>());
  const int64_t samples = x.shape()[0], elements = x.elements() / samples;
  std::copy_n(x.data<T>(), x.elements(), y.data<T>());
  for (int64_t n = 0; n < samples; ++n) {
    const Patch& patch = patch_of[n];
    const T* const mine = x.data<T>() + n * elements;
    const T* const partner = patch.partner < 0 ? nullptr : x.data<T>() + patch.partner * elements;
    for (int64_t d = patch.first[0]; d < patch.first[0] + patch.extent[0]; ++d)
      for (int64_t h = patch.first[1]; h < patch.first[1] + patch.extent[1]; ++h) {
        const int64_t at = ((d * spec.extents[1] + h) * spec.extents[2] + patch.first[2]) * spec.channels;
        blend_row(own.data<float>()[n], mine + at, partner == nullptr ? nullptr : partner + at,
                  patch.extent[2] * spec.channels, y.data<T>() + n * elements + at);
      }
  }
}

}  // namespace
}  // namespace cpu

void paste(Exec exec, const PasteSpec& spec, ConstTensor patches, ConstTensor own, ConstTensor x, Tensor y) {
  const int64_t samples = own.shape()[0];
  const auto& extents = spec.extents;
  const Shape shape{samples, extents[0], extents[1], extents[2], spec.channels};
  INVARIANT(x.dtype() == DType::f32 || x.dtype() == DType::i32, "paste: x is of {}", to_string(x.dtype()));
  expect(patches, DType::i64, {samples, kPatchWords}, "paste: patches");
  expect(own, DType::f32, {samples}, "paste: own");
  expect(x, x.dtype(), shape, "paste: x");
  expect(y, x.dtype(), shape, "paste: y");
  if (is_empty(y)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::paste(exec, spec, patches, own, x, y);
  }
  if (x.dtype() == DType::f32)
    cpu::paste<float>(spec, patches, own, x, y);
  else
    cpu::paste<int32_t>(spec, patches, own, x, y);
}

}  // namespace lockstep
