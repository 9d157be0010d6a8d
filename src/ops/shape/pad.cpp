#include "src/ops/shape/pad.h"

#include <algorithm>

#include "src/core/error.h"
#include "src/device/with_cuda.h"
#include "src/ops/check.h"
#include "src/ops/cuda_ops.h"
#include "src/tensor/real.h"

namespace lockstep {

namespace cpu {
namespace {

/// Calls copy(offset of a row in x, offset in y, elements) for each row of the last spatial axis.
template <typename Copy>
void for_each_row(const PadSpec& spec, Copy copy) {
  const int64_t width = spec.extents[2] * spec.channels, padded_width = spec.outputs(2) * spec.channels;
  int64_t x = 0;
  for (int64_t n = 0; n < spec.samples; ++n)
    for (int64_t d = 0; d < spec.extents[0]; ++d)
      for (int64_t h = 0; h < spec.extents[1]; ++h, x += width) {
        const int64_t plane = n * spec.outputs(0) + spec.before[0] + d;
        const int64_t row = plane * spec.outputs(1) + spec.before[1] + h;
        copy(x, row * padded_width + spec.before[2] * spec.channels, width);
      }
}

}  // namespace
}  // namespace cpu

namespace {

void check(const PadSpec& spec, ConstTensor x, ConstTensor y) {
  for (size_t axis = 0; axis < 3; ++axis)
    INVARIANT(spec.before[axis] >= 0 && spec.after[axis] >= 0, "pad: {} before and {} after",
              spec.before[axis], spec.after[axis]);
  expect_real(x, spec.input_shape(), "pad: x");
  expect(y, x.dtype(), spec.output_shape(), "pad: y");
}

}  // namespace

void pad_forward(Exec exec, const PadSpec& spec, ConstTensor x, Tensor y) {
  check(spec, x, y);
  if (is_empty(y)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::pad_forward(exec, spec, x, y);
  }
  with_cpu_real(y.dtype(), [&]<Real T>(T) {
    const T* const from = x.data<T>();
    T* const to = y.data<T>();
    std::fill_n(to, y.elements(), T(0));
    cpu::for_each_row(spec, [=](int64_t row, int64_t padded_row, int64_t count) {
      std::copy_n(from + row, count, to + padded_row);
    });
  });
}

void pad_backward(Exec exec, const PadSpec& spec, ConstTensor dy, Tensor dx) {
  check(spec, dx, dy);
  if (is_empty(dx)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::pad_backward(exec, spec, dy, dx);
  }
  with_cpu_real(dx.dtype(), [&]<Real T>(T) {
    const T* const from = dy.data<T>();
    T* const to = dx.data<T>();
    cpu::for_each_row(spec, [=](int64_t row, int64_t padded_row, int64_t count) {
      std::copy_n(from + padded_row, count, to + row);
    });
  });
}

}  // namespace lockstep
