#include "src/ops/pointwise/activation.h"

#include "src/device/with_cuda.h"
#include "src/ops/check.h"
#include "src/ops/cuda_ops.h"
#include "src/ops/onednn.h"

namespace lockstep {

std::string to_string(Activation activation) {
  switch (activation) {
    case Activation::relu:
      return "relu";
    case Activation::sigmoid:
      return "sigmoid";
    case Activation::tanh:
      return "tanh";
    case Activation::gelu:
      return "gelu";
  }
  return "unknown";
}

bool backward_reads_input(Activation activation) { return activation == Activation::gelu; }

namespace cpu {
namespace {

// A comparison that is false for NaN, so that NaN is preserved.
void relu_forward(const float* x, float* y, int64_t count) {
  for (int64_t i = 0; i < count; ++i) y[i] = x[i] < 0 ? 0 : x[i];
}

void relu_backward(const float* y, const float* dy, float* dx, int64_t count) {
  for (int64_t i = 0; i < count; ++i) dx[i] = y[i] > 0 ? dy[i] : 0;
}

dnnl::algorithm algorithm(Activation activation) {
  switch (activation) {
    case Activation::sigmoid:
      return dnnl::algorithm::eltwise_logistic_use_dst_for_bwd;
    case Activation::tanh:
      return dnnl::algorithm::eltwise_tanh_use_dst_for_bwd;
    case Activation::gelu:
      return dnnl::algorithm::eltwise_gelu_erf;
    case Activation::relu:
      break;
  }
  fail(ExitCode::bug, "activation: {} is not one of oneDNN's", to_string(activation));
}

dnnl::memory::desc flat(int64_t count) {
  return {{count}, dnnl::memory::data_type::f32, dnnl::memory::format_tag::a};
}

// oneDNN caches primitives by their descriptors, so creating one at each call costs only microseconds.
void eltwise_forward(Activation activation, ConstTensor x, Tensor y) {
  const auto desc = onednn::describe_eltwise(algorithm(activation), flat(y.elements()));
  dnnl::memory src = onednn::unbound(desc.src_desc()), dst = onednn::unbound(desc.dst_desc());
  onednn::bind(src, x.raw());
  onednn::bind(dst, y.raw());
  dnnl::stream stream(onednn::engine());
  dnnl::eltwise_forward(desc).execute(stream, {{DNNL_ARG_SRC, src}, {DNNL_ARG_DST, dst}});
  stream.wait();
}

void eltwise_backward(Activation activation, ConstTensor saved, ConstTensor dy, Tensor dx) {
  const int64_t count = dx.elements();
  const auto desc = onednn::describe_eltwise_backward(algorithm(activation), flat(count));
  dnnl::memory data = onednn::unbound(flat(count)), diff_dst = onednn::unbound(flat(count)),
               diff_src = onednn::unbound(flat(count));
  onednn::bind(data, saved.raw());
  onednn::bind(diff_dst, dy.raw());
  onednn::bind(diff_src, dx.raw());
  dnnl::stream stream(onednn::engine());
  dnnl::eltwise_backward(desc).execute(
      stream, {{backward_reads_input(activation) ? DNNL_ARG_SRC : DNNL_ARG_DST, data},
               {DNNL_ARG_DIFF_DST, diff_dst},
               {DNNL_ARG_DIFF_SRC, diff_src}});
  stream.wait();
}

}  // namespace
}  // namespace cpu

void activation_forward(Exec exec, Activation activation, ConstTensor x, Tensor y) {
  expect(x, DType::f32, y.shape(), "activation: x");
  expect(y, DType::f32, x.shape(), "activation: y");
  if (is_empty(y)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::activation_forward(exec, activation, x, y);
  }
  if (activation == Activation::relu)
    return cpu::relu_forward(x.data<float>(), y.data<float>(), y.elements());
  onednn::guarded("activation", [&] { cpu::eltwise_forward(activation, x, y); });
}

void activation_backward(Exec exec, Activation activation, ConstTensor saved, ConstTensor dy, Tensor dx) {
  expect(saved, DType::f32, dx.shape(), "activation: the saved tensor");
  expect(dy, DType::f32, dx.shape(), "activation: dy");
  expect(dx, DType::f32, dx.shape(), "activation: dx");
  if (is_empty(dx)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::activation_backward(exec, activation, saved, dy, dx);
  }
  if (activation == Activation::relu)
    return cpu::relu_backward(saved.data<float>(), dy.data<float>(), dx.data<float>(), dx.elements());
  onednn::guarded("activation", [&] { cpu::eltwise_backward(activation, saved, dy, dx); });
}

}  // namespace lockstep
