#include "src/ops/pool/pool.h"

#include <algorithm>

#include "src/core/error.h"
#include "src/device/with_cuda.h"
#include "src/ops/check.h"
#include "src/ops/cuda_ops.h"
#include "src/ops/pool/pool_cpu.h"
#include "src/tensor/real.h"

namespace lockstep {

PoolAxis PoolAxis::sliding(int64_t inputs, int64_t window, int64_t stride, int64_t before, int64_t after,
                           bool ceil) {
  PoolAxis axis{.inputs = inputs, .window = window, .stride = stride, .before = before, .after = after};
  const int64_t room = inputs + before + after - window + (ceil ? stride - 1 : 0);
  axis.outputs = room < 0 ? 0 : room / stride + 1;
  if (ceil && (axis.outputs - 1) * stride >= inputs + before) --axis.outputs;
  return axis;
}

PoolAxis PoolAxis::evenly(int64_t inputs, int64_t outputs) {
  if (inputs % outputs == 0) return sliding(inputs, inputs / outputs, inputs / outputs, 0, 0);
  PoolAxis axis{.inputs = inputs, .outputs = outputs, .window = 0, .adaptive = true};
  for (int64_t i = 0; i < outputs; ++i)
    axis.window = std::max(axis.window, ((i + 1) * inputs + outputs - 1) / outputs - i * inputs / outputs);
  return axis;
}

namespace {

void check_spec(const PoolSpec& spec) {
  for (const PoolAxis& axis : spec.axes) {
    INVARIANT(axis.inputs > 0 && axis.outputs > 0, "pool: {} windows over {} elements", axis.outputs,
              axis.inputs);
    INVARIANT(axis.window > 0 && axis.stride > 0, "pool: a window of {}, a stride of {}", axis.window,
              axis.stride);
    INVARIANT(axis.before >= 0 && axis.after >= 0 && axis.before < axis.window && axis.after < axis.window,
              "pool: padding of {} and {} is not smaller than the window of {}", axis.before, axis.after,
              axis.window);
    INVARIANT(axis.adaptive || (axis.outputs - 1) * axis.stride < axis.inputs + axis.before,
              "pool: the last of {} windows begins beyond {} elements", axis.outputs, axis.inputs);
  }
}

void check_max_spec(const PoolSpec& spec) {
  check_spec(spec);
  INVARIANT(spec.window_size() <= kMaxPoolWindow, "max_pool: a window of {} elements has more than {}",
            spec.window_size(), kMaxPoolWindow);
  INVARIANT(!spec.relu || spec.window_size() < kMaxPoolWindow,
            "max_pool: a ReLU behind windows of {} elements", spec.window_size());
}

}  // namespace

void max_pool_forward(Exec exec, const PoolSpec& spec, ConstTensor x, Tensor y, Tensor argmax) {
  check_max_spec(spec);
  expect_real(y, spec.output_shape(), "max_pool: y");
  expect(x, y.dtype(), spec.input_shape(), "max_pool: x");
  expect(argmax, DType::u8, spec.output_shape(), "max_pool: argmax");
  if (is_empty(y)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::max_pool_forward(exec, spec, x, y, argmax);
  }
  with_cpu_real(y.dtype(), [&]<Real T>(T) {
    cpu::max_pool_forward(spec, x.data<T>(), y.data<T>(), argmax.data<uint8_t>());
  });
}

void max_pool_backward(Exec exec, const PoolSpec& spec, ConstTensor argmax, ConstTensor dy, Tensor dx) {
  check_max_spec(spec);
  expect(argmax, DType::u8, spec.output_shape(), "max_pool: argmax");
  expect_real(dx, spec.input_shape(), "max_pool: dx");
  expect(dy, dx.dtype(), spec.output_shape(), "max_pool: dy");
  if (is_empty(dx)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::max_pool_backward(exec, spec, argmax, dy, dx);
  }
  with_cpu_real(dx.dtype(), [&]<Real T>(T) {
    cpu::max_pool_backward(spec, argmax.data<uint8_t>(), dy.data<T>(), dx.data<T>());
  });
}

void average_pool_forward(Exec exec, const PoolSpec& spec, ConstTensor x, Tensor y) {
  check_spec(spec);
  expect_real(y, spec.output_shape(), "average_pool: y");
  expect(x, y.dtype(), spec.input_shape(), "average_pool: x");
  if (is_empty(y)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::average_pool_forward(exec, spec, x, y);
  }
  with_cpu_real(y.dtype(), [&]<Real T>(T) { cpu::average_pool_forward(spec, x.data<T>(), y.data<T>()); });
}

void average_pool_backward(Exec exec, const PoolSpec& spec, ConstTensor dy, Tensor dx) {
  check_spec(spec);
  expect_real(dx, spec.input_shape(), "average_pool: dx");
  expect(dy, dx.dtype(), spec.output_shape(), "average_pool: dy");
  if (is_empty(dx)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::average_pool_backward(exec, spec, dy, dx);
  }
  with_cpu_real(dx.dtype(), [&]<Real T>(T) { cpu::average_pool_backward(spec, dy.data<T>(), dx.data<T>()); });
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
  expect_real(y, {x.shape()[0], x.shape()[-1]}, "global_average_pool: y");
  expect(x, y.dtype(), x.shape(), "global_average_pool: x");
  if (is_empty(y)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::global_average_pool_forward(exec, x, y);
  }
  with_cpu_real(y.dtype(), [&]<Real T>(T) {
    cpu::global_average_pool_forward(y.shape()[0], area, y.shape()[1], x.data<T>(), y.data<T>());
  });
}

void global_average_pool_backward(Exec exec, ConstTensor dy, Tensor dx) {
  const int64_t area = positions(dx.shape(), "global_average_pool: dx");
  expect_real(dx, dx.shape(), "global_average_pool: dx");
  expect(dy, dx.dtype(), {dx.shape()[0], dx.shape()[-1]}, "global_average_pool: dy");
  if (is_empty(dx)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::global_average_pool_backward(exec, dy, dx);
  }
  with_cpu_real(dx.dtype(), [&]<Real T>(T) {
    cpu::global_average_pool_backward(dy.shape()[0], area, dy.shape()[1], dy.data<T>(), dx.data<T>());
  });
}

}  // namespace lockstep
