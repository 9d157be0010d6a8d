#include "src/ops/conv/conv2d_cpu.h"

#include <algorithm>

#include "src/ops/pointwise/activation.h"

namespace lockstep {

using dnnl::memory;

namespace {

constexpr size_t kAlignment = 64;

memory::desc channels_last(int64_t n, int64_t c, int64_t h, int64_t w) {
  return {{n, c, h, w}, memory::data_type::f32, memory::format_tag::nhwc};
}

// (K, R, S, C/groups) as oneDNN sees it: (K, C, R, S), or (groups, K/groups, C/groups, R, S), with our
// strides.
void weights_extents(const Conv2dSpec& spec, memory::dims& extents, memory::dims& strides) {
  const int64_t c = spec.c / spec.groups;
  extents = {spec.k / spec.groups, c, spec.r, spec.s};
  strides = {spec.r * spec.s * c, 1, spec.s * c, c};
  if (spec.groups > 1) {
    extents.insert(extents.begin(), spec.groups);
    strides.insert(strides.begin(), spec.k / spec.groups * strides[0]);
  }
}

}  // namespace

Conv2d::Cpu::Cpu(const Conv2dSpec& spec) : spec_(spec) {
  if (spec.n == 0) return;
  stream_ = dnnl::stream(onednn::engine());

  const memory::desc x = channels_last(spec.n, spec.c, spec.h, spec.w);
  const memory::desc y = channels_last(spec.n, spec.k, spec.out_h(), spec.out_w());
  const memory::desc b =
      spec.bias ? memory::desc({spec.k}, memory::data_type::f32, memory::format_tag::a) : memory::desc();
  memory::dims extents, weights_strides;
  weights_extents(spec, extents, weights_strides);
  plain_weights_ = memory::desc(extents, memory::data_type::f32, weights_strides);
  const memory::desc w(extents, memory::data_type::f32, memory::format_tag::any);
  const memory::dims strides = {spec.stride_h, spec.stride_w}, padding = {spec.pad_h, spec.pad_w};
  const memory::dims dilation = {spec.dilation_h - 1, spec.dilation_w - 1};  // oneDNN counts the holes
  const auto algorithm = dnnl::algorithm::convolution_direct;

  const auto training = dnnl::prop_kind::forward_training;
  const auto forward = onednn::describe<dnnl::convolution_forward>(training, algorithm, x, w, b, y, strides,
                                                                   dilation, padding, padding);
  forward_ = make_pass<dnnl::convolution_forward>(forward, DNNL_ARG_WEIGHTS, forward.weights_desc(),
                                                  {{DNNL_ARG_SRC, x}, {DNNL_ARG_BIAS, b}, {DNNL_ARG_DST, y}});

  if (spec.needs_dx) {
    const auto desc = onednn::describe_backward<dnnl::convolution_backward_data>(
        forward, algorithm, x, w, y, strides, dilation, padding, padding);
    backward_data_ = make_pass<dnnl::convolution_backward_data>(
        desc, DNNL_ARG_WEIGHTS, desc.weights_desc(), {{DNNL_ARG_DIFF_SRC, x}, {DNNL_ARG_DIFF_DST, y}});
  }

  const auto desc = onednn::describe_backward<dnnl::convolution_backward_weights>(
      forward, algorithm, x, w, b, y, strides, dilation, padding, padding);
  backward_weights_ = make_pass<dnnl::convolution_backward_weights>(
      desc, DNNL_ARG_DIFF_WEIGHTS, desc.diff_weights_desc(),
      {{DNNL_ARG_SRC, x}, {DNNL_ARG_DIFF_BIAS, b}, {DNNL_ARG_DIFF_DST, y}});
}

template <typename Primitive, typename Desc>
Conv2d::Cpu::Pass Conv2d::Cpu::make_pass(const Desc& desc, int weights, const memory::desc& format,
                                         std::initializer_list<std::pair<int, memory::desc>> arguments) {
  Pass pass;
  pass.primitive = Primitive(desc);
  pass.weights = weights;
  for (const auto& [key, argument] : arguments)
    if (argument) pass.arguments.emplace(key, onednn::unbound(argument));
  memory& reordered = pass.arguments.emplace(weights, onednn::unbound(format)).first->second;
  pass.plain_weights = onednn::unbound(plain_weights_);
  if (format != plain_weights_)
    pass.reorder = weights == DNNL_ARG_WEIGHTS ? dnnl::reorder(pass.plain_weights, reordered)
                                               : dnnl::reorder(reordered, pass.plain_weights);
  pass.arguments.emplace(DNNL_ARG_SCRATCHPAD, onednn::unbound(desc.scratchpad_desc()));
  pass.reordered_offset = (desc.scratchpad_desc().get_size() + kAlignment - 1) / kAlignment * kAlignment;
  workspace_bytes_ =
      std::max(workspace_bytes_, pass.reordered_offset + (pass.reorder ? format.get_size() : 0));
  return pass;
}

void Conv2d::Cpu::run(Pass& pass, const void* weights, std::initializer_list<Binding> bindings,
                      Tensor workspace) {
  for (const auto& [key, data] : bindings)
    if (data != nullptr) onednn::bind(pass.arguments.at(key), data);
  onednn::bind(pass.arguments.at(DNNL_ARG_SCRATCHPAD), workspace.raw());
  memory& used = pass.arguments.at(pass.weights);
  onednn::bind(pass.plain_weights, weights);
  onednn::bind(used,
               pass.reorder ? static_cast<std::byte*>(workspace.raw()) + pass.reordered_offset : weights);

  if (pass.reorder && pass.weights == DNNL_ARG_WEIGHTS)
    pass.reorder->execute(stream_, pass.plain_weights, used);
  pass.primitive.execute(stream_, pass.arguments);
  if (pass.reorder && pass.weights == DNNL_ARG_DIFF_WEIGHTS)
    pass.reorder->execute(stream_, used, pass.plain_weights);
  stream_.wait();
}

void Conv2d::Cpu::forward(ConstTensor x, ConstTensor w, ConstTensor b, Tensor y, Tensor workspace) {
  run(*forward_, w.raw(), {{DNNL_ARG_SRC, x.raw()}, {DNNL_ARG_BIAS, b.raw()}, {DNNL_ARG_DST, y.raw()}},
      workspace);
  // Not fused: oneDNN's ReLU turns NaN into zero, which would hide that the training has diverged.
  if (spec_.relu) activation_forward({}, Activation::relu, y, y);
}

void Conv2d::Cpu::backward(ConstTensor x, ConstTensor w, ConstTensor dy, Tensor dx, Tensor dw, Tensor db,
                           Tensor workspace) {
  if (dw)
    run(*backward_weights_, dw.raw(),
        {{DNNL_ARG_SRC, x.raw()}, {DNNL_ARG_DIFF_BIAS, db.raw()}, {DNNL_ARG_DIFF_DST, dy.raw()}}, workspace);
  if (dx)
    run(*backward_data_, w.raw(), {{DNNL_ARG_DIFF_SRC, dx.raw()}, {DNNL_ARG_DIFF_DST, dy.raw()}}, workspace);
}

}  // namespace lockstep
