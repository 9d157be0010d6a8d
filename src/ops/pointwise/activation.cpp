#include "src/ops/pointwise/activation.h"

#include <utility>

#include "src/device/with_cuda.h"
#include "src/ops/check.h"
#include "src/ops/cuda_ops.h"
#include "src/ops/onednn.h"
#include "src/tensor/real.h"

namespace lockstep {

std::string to_string(Activation activation) {
  switch (activation) {
    case Activation::relu:
      return "relu";
    case Activation::leaky_relu:
      return "leaky_relu";
    case Activation::relu6:
      return "relu6";
    case Activation::elu:
      return "elu";
    case Activation::sigmoid:
      return "sigmoid";
    case Activation::tanh:
      return "tanh";
    case Activation::gelu:
      return "gelu";
    case Activation::gelu_tanh:
      return "gelu_tanh";
    case Activation::silu:
      return "silu";
    case Activation::hard_swish:
      return "hard_swish";
    case Activation::softplus:
      return "softplus";
  }
  return "unknown";
}

const std::vector<Activation>& activations() {
  static const std::vector<Activation> all = {
      Activation::relu,    Activation::leaky_relu, Activation::relu6,   Activation::elu,
      Activation::sigmoid, Activation::tanh,       Activation::gelu,    Activation::gelu_tanh,
      Activation::silu,    Activation::hard_swish, Activation::softplus};
  return all;
}

bool backward_reads_input(Activation activation) {
  switch (activation) {
    case Activation::gelu:
    case Activation::gelu_tanh:
    case Activation::silu:
    case Activation::hard_swish:
    case Activation::softplus:
      return true;
    default:
      return false;
  }
}

namespace cpu {
namespace {

template <typename F>
void map(ConstTensor x, Tensor y, const F& f) {
  with_cpu_real(y.dtype(), [&]<Real T>(T) {
    const T* const in = x.data<T>();
    T* const out = y.data<T>();
    const int64_t count = y.elements();
    for (int64_t i = 0; i < count; ++i) out[i] = T(f(in[i]));
  });
}

template <typename F>
void zip(ConstTensor saved, ConstTensor dy, Tensor dx, const F& f) {
  with_cpu_real(dx.dtype(), [&]<Real T>(T) {
    const T *const kept = saved.data<T>(), *const in = dy.data<T>();
    T* const out = dx.data<T>();
    const int64_t count = dx.elements();
    for (int64_t i = 0; i < count; ++i) out[i] = T(f(kept[i], in[i]));
  });
}

dnnl::memory::desc flat(ConstTensor tensor) {
  return {{tensor.elements()}, onednn::type_of(tensor.dtype()), dnnl::memory::format_tag::a};
}

// oneDNN caches primitives by their descriptors, so creating one at each call costs only microseconds.
void eltwise_forward(dnnl::algorithm algorithm, float alpha, ConstTensor x, Tensor y) {
  const auto desc = onednn::describe_eltwise(algorithm, alpha, flat(y));
  dnnl::memory src = onednn::unbound(desc.src_desc()), dst = onednn::unbound(desc.dst_desc());
  onednn::bind(src, x.raw());
  onednn::bind(dst, y.raw());
  dnnl::stream stream(onednn::engine());
  dnnl::eltwise_forward(desc).execute(stream, {{DNNL_ARG_SRC, src}, {DNNL_ARG_DST, dst}});
  stream.wait();
}

void eltwise_backward(dnnl::algorithm algorithm, float alpha, bool reads_input, ConstTensor saved,
                      ConstTensor dy, Tensor dx) {
  const auto desc = onednn::describe_eltwise_backward(algorithm, alpha, flat(dx));
  dnnl::memory data = onednn::unbound(flat(dx)), diff_dst = onednn::unbound(flat(dx)),
               diff_src = onednn::unbound(flat(dx));
  onednn::bind(data, saved.raw());
  onednn::bind(diff_dst, dy.raw());
  onednn::bind(diff_src, dx.raw());
  dnnl::stream stream(onednn::engine());
  dnnl::eltwise_backward(desc).execute(stream, {{reads_input ? DNNL_ARG_SRC : DNNL_ARG_DST, data},
                                                {DNNL_ARG_DIFF_DST, diff_dst},
                                                {DNNL_ARG_DIFF_SRC, diff_src}});
  stream.wait();
}

/// oneDNN's name of a function, and its parameter.
std::pair<dnnl::algorithm, float> in_onednn(const ActivationSpec& spec) {
  using enum dnnl::algorithm;
  switch (spec.function) {
    case Activation::elu:
      return {eltwise_elu_use_dst_for_bwd, spec.alpha};
    case Activation::sigmoid:
      return {eltwise_logistic_use_dst_for_bwd, 0};
    case Activation::tanh:
      return {eltwise_tanh_use_dst_for_bwd, 0};
    case Activation::gelu:
      return {eltwise_gelu_erf, 0};
    case Activation::gelu_tanh:
      return {eltwise_gelu_tanh, 0};
    case Activation::silu:
      return {eltwise_swish, 1};
    case Activation::softplus:
      return {eltwise_soft_relu, 1};
    default:
      fail(ExitCode::bug, "activation: {} is not one of oneDNN's", to_string(spec.function));
  }
}

// Comparisons are false for NaN, so that NaN is preserved.
void forward(const ActivationSpec& spec, ConstTensor x, Tensor y) {
  const float alpha = spec.alpha;
  switch (spec.function) {
    case Activation::relu:
      return map(x, y, [](float v) { return v < 0 ? 0 : v; });
    case Activation::leaky_relu:
      return map(x, y, [alpha](float v) { return v < 0 ? alpha * v : v; });
    case Activation::relu6:
      return map(x, y, [](float v) { return v < 0 ? 0 : v > 6 ? 6 : v; });
    case Activation::hard_swish:
      return map(x, y, [](float v) { return v <= -3 ? 0 : v >= 3 ? v : v * (v + 3) / 6; });
    default:
      const auto [algorithm, parameter] = in_onednn(spec);
      eltwise_forward(algorithm, parameter, x, y);
  }
}

void backward(const ActivationSpec& spec, ConstTensor saved, ConstTensor dy, Tensor dx) {
  const float alpha = spec.alpha;
  switch (spec.function) {
    case Activation::relu:
      return zip(saved, dy, dx, [](float y, float d) { return y > 0 ? d : 0; });
    case Activation::leaky_relu:
      return zip(saved, dy, dx, [alpha](float y, float d) { return y > 0 ? d : alpha * d; });
    case Activation::relu6:
      return zip(saved, dy, dx, [](float y, float d) { return y > 0 && y < 6 ? d : 0; });
    case Activation::hard_swish:
      return zip(saved, dy, dx, [](float x, float d) {
        return x <= -3 ? 0 : x >= 3 ? d : d * (x / 3 + 0.5f);
      });
    default:
      const auto [algorithm, parameter] = in_onednn(spec);
      eltwise_backward(algorithm, parameter, backward_reads_input(spec.function), saved, dy, dx);
  }
}

}  // namespace
}  // namespace cpu

void activation_forward(Exec exec, const ActivationSpec& spec, ConstTensor x, Tensor y) {
  expect_real(y, x.shape(), "activation: y");
  expect(x, y.dtype(), y.shape(), "activation: x");
  if (is_empty(y)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::activation_forward(exec, spec, x, y);
  }
  onednn::guarded("activation", [&] { cpu::forward(spec, x, y); });
}

void activation_backward(Exec exec, const ActivationSpec& spec, ConstTensor saved, ConstTensor dy,
                         Tensor dx) {
  expect_real(dx, dx.shape(), "activation: dx");
  expect(saved, dx.dtype(), dx.shape(), "activation: the saved tensor");
  expect(dy, dx.dtype(), dx.shape(), "activation: dy");
  if (is_empty(dx)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::activation_backward(exec, spec, saved, dy, dx);
  }
  onednn::guarded("activation", [&] { cpu::backward(spec, saved, dy, dx); });
}

}  // namespace lockstep
