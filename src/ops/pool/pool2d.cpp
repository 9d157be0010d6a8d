#include "src/ops/pool/pool2d.h"

#include "src/device/with_cuda.h"
#include "src/ops/check.h"
#include "src/ops/cuda_ops.h"
#include "src/ops/pool/pool2d_cpu.h"

namespace lockstep {

namespace {

Shape input_shape(const Pool2dSpec& spec) { return {spec.n, spec.h, spec.w, spec.c}; }
Shape output_shape(const Pool2dSpec& spec) { return {spec.n, spec.out_h(), spec.out_w(), spec.c}; }

void check_spec(const Pool2dSpec& spec) {
  INVARIANT(spec.window_h > 0 && spec.window_w > 0, "pool2d: a window of {} x {}", spec.window_h,
            spec.window_w);
  INVARIANT(spec.stride_h > 0 && spec.stride_w > 0, "pool2d: a stride of {} x {}", spec.stride_h,
            spec.stride_w);
  INVARIANT(spec.pad_h >= 0 && spec.pad_w >= 0 && spec.pad_h < spec.window_h && spec.pad_w < spec.window_w,
            "pool2d: padding of {} x {} is not smaller than the window of {} x {}", spec.pad_h, spec.pad_w,
            spec.window_h, spec.window_w);
  INVARIANT(spec.h + 2 * spec.pad_h >= spec.window_h && spec.w + 2 * spec.pad_w >= spec.window_w,
            "pool2d: a window of {} x {} is larger than its padded {} x {} input", spec.window_h,
            spec.window_w, spec.h, spec.w);
}

/// The position of a maximum in its window is stored in a byte.
void check_max_spec(const Pool2dSpec& spec) {
  check_spec(spec);
  INVARIANT(spec.window_h * spec.window_w <= 256,
            "max_pool2d: a window of {} x {} has more than 256 elements", spec.window_h, spec.window_w);
}

}  // namespace

void max_pool2d_forward(Exec exec, const Pool2dSpec& spec, ConstTensor x, Tensor y, Tensor argmax) {
  check_max_spec(spec);
  expect(x, DType::f32, input_shape(spec), "max_pool2d: x");
  expect(y, DType::f32, output_shape(spec), "max_pool2d: y");
  expect(argmax, DType::u8, output_shape(spec), "max_pool2d: argmax");
  if (is_empty(y)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::max_pool2d_forward(exec, spec, x, y, argmax);
  }
  cpu::max_pool2d_forward(spec, x.data<float>(), y.data<float>(), argmax.data<uint8_t>());
}

void max_pool2d_backward(Exec exec, const Pool2dSpec& spec, ConstTensor argmax, ConstTensor dy, Tensor dx) {
  check_max_spec(spec);
  expect(argmax, DType::u8, output_shape(spec), "max_pool2d: argmax");
  expect(dy, DType::f32, output_shape(spec), "max_pool2d: dy");
  expect(dx, DType::f32, input_shape(spec), "max_pool2d: dx");
  if (is_empty(dx)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::max_pool2d_backward(exec, spec, argmax, dy, dx);
  }
  cpu::max_pool2d_backward(spec, argmax.data<uint8_t>(), dy.data<float>(), dx.data<float>());
}

void average_pool2d_forward(Exec exec, const Pool2dSpec& spec, ConstTensor x, Tensor y) {
  check_spec(spec);
  expect(x, DType::f32, input_shape(spec), "average_pool2d: x");
  expect(y, DType::f32, output_shape(spec), "average_pool2d: y");
  if (is_empty(y)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::average_pool2d_forward(exec, spec, x, y);
  }
  cpu::average_pool2d_forward(spec, x.data<float>(), y.data<float>());
}

void average_pool2d_backward(Exec exec, const Pool2dSpec& spec, ConstTensor dy, Tensor dx) {
  check_spec(spec);
  expect(dy, DType::f32, output_shape(spec), "average_pool2d: dy");
  expect(dx, DType::f32, input_shape(spec), "average_pool2d: dx");
  if (is_empty(dx)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::average_pool2d_backward(exec, spec, dy, dx);
  }
  cpu::average_pool2d_backward(spec, dy.data<float>(), dx.data<float>());
}

namespace {

/// Positions of one sample of (N, ..., C), at least one.
int64_t positions(const Shape& shape, const char* what) {
  INVARIANT(shape.rank() >= 2, "{} {} has no batch or no channels", what, to_string(shape));
  int64_t product = 1;
  for (int axis = 1; axis < shape.rank() - 1; ++axis) product *= shape[axis];
  INVARIANT(product > 0, "{} {} has no positions", what, to_string(shape));
  return product;
}

}  // namespace

void global_average_pool_forward(Exec exec, ConstTensor x, Tensor y) {
  const int64_t area = positions(x.shape(), "global_average_pool: x");
  expect(x, DType::f32, x.shape(), "global_average_pool: x");
  expect(y, DType::f32, {x.shape()[0], x.shape()[-1]}, "global_average_pool: y");
  if (is_empty(y)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::global_average_pool_forward(exec, x, y);
  }
  cpu::global_average_pool_forward(y.shape()[0], area, y.shape()[1], x.data<float>(), y.data<float>());
}

void global_average_pool_backward(Exec exec, ConstTensor dy, Tensor dx) {
  const int64_t area = positions(dx.shape(), "global_average_pool: dx");
  expect(dy, DType::f32, {dx.shape()[0], dx.shape()[-1]}, "global_average_pool: dy");
  expect(dx, DType::f32, dx.shape(), "global_average_pool: dx");
  if (is_empty(dx)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::global_average_pool_backward(exec, dy, dx);
  }
  cpu::global_average_pool_backward(dy.shape()[0], area, dy.shape()[1], dy.data<float>(), dx.data<float>());
}

}  // namespace lockstep
