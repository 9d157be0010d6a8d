#include "src/ops/conv/conv_cpu.h"

#include <algorithm>

#include "src/ops/pointwise/activation.h"

namespace lockstep {

using dnnl::memory;

namespace {

constexpr size_t kScratchAlignment = 64;

/// A tensor (N, spatial..., C), which oneDNN sees as (N, C, spatial...).
memory::desc channels_last(memory::data_type type, const Shape& shape) {
  memory::dims extents(shape.extents().begin(), shape.extents().end());
  std::rotate(extents.begin() + 1, extents.end() - 1, extents.end());
  return {extents, type, shape.rank() == 4 ? memory::format_tag::nhwc : memory::format_tag::ndhwc};
}

/// (K, windows..., C/groups) as oneDNN sees it: (K, C, windows...), or (groups, K/groups, C/groups,
/// windows...), with our strides.
void weights_extents(const ConvSpec& spec, memory::dims& extents, memory::dims& strides) {
  const int64_t c = spec.channels / spec.groups;
  extents = {spec.filters / spec.groups, c};
  strides = {spec.taps() * c, 1};
  int64_t stride = spec.taps() * c;
  for (const ConvAxis& axis : spec.axes) {
    stride /= axis.window;
    extents.push_back(axis.window);
    strides.push_back(stride);
  }
  if (spec.groups > 1) {
    extents.insert(extents.begin(), spec.groups);
    strides.insert(strides.begin(), spec.filters / spec.groups * strides[0]);
  }
}

template <typename Number>
memory::dims for_each_axis(const ConvSpec& spec, Number number) {
  memory::dims numbers;
  for (const ConvAxis& axis : spec.axes) numbers.push_back(number(axis));
  return numbers;
}

}  // namespace

Conv::Cpu::Cpu(const ConvSpec& spec) : spec_(spec) {
  if (spec.samples == 0) return;
  stream_ = dnnl::stream(onednn::engine());

  INVARIANT(spec.type != DType::f16, "conv: the CPU does not compute with f16");
  const auto type = onednn::type_of(spec.type), f32 = memory::data_type::f32;
  const memory::desc x = channels_last(type, spec.data()), y = channels_last(type, spec.result());
  const auto bias = [&](memory::data_type of) {
    return spec.bias ? memory::desc({spec.filters}, of, memory::format_tag::a) : memory::desc();
  };
  const memory::desc b = bias(type), db = bias(f32);
  memory::dims extents, weights_strides;
  weights_extents(spec, extents, weights_strides);
  const memory::desc plain_w(extents, type, weights_strides), plain_dw(extents, f32, weights_strides);
  const memory::desc w(extents, type, memory::format_tag::any), dw(extents, f32, memory::format_tag::any);
  const auto strides = for_each_axis(spec, [](const ConvAxis& axis) { return axis.stride; });
  const auto before = for_each_axis(spec, [](const ConvAxis& axis) { return axis.pad_before; });
  const auto after = for_each_axis(spec, [](const ConvAxis& axis) { return axis.pad_after; });
  // oneDNN counts the holes.
  const auto dilation = for_each_axis(spec, [](const ConvAxis& axis) { return axis.dilation - 1; });
  const auto algorithm = dnnl::algorithm::convolution_direct;

  const auto training = dnnl::prop_kind::forward_training;
  const auto forward = onednn::describe<dnnl::convolution_forward>(training, algorithm, x, w, b, y, strides,
                                                                   dilation, before, after);
  convolve_ =
      make_pass<dnnl::convolution_forward>(forward, DNNL_ARG_WEIGHTS, plain_w, forward.weights_desc(),
                                           {{DNNL_ARG_SRC, x}, {DNNL_ARG_BIAS, b}, {DNNL_ARG_DST, y}});

  if (spec.transposed || spec.needs_dx) {
    const auto desc = onednn::describe_backward<dnnl::convolution_backward_data>(
        forward, algorithm, x, w, y, strides, dilation, before, after);
    data_gradient_ =
        make_pass<dnnl::convolution_backward_data>(desc, DNNL_ARG_WEIGHTS, plain_w, desc.weights_desc(),
                                                   {{DNNL_ARG_DIFF_SRC, x}, {DNNL_ARG_DIFF_DST, y}});
  }

  if (UnfoldedGradient::suits(spec)) {
    workspace_bytes_ = std::max(workspace_bytes_, unfolded_gradient_.emplace(spec).workspace_bytes());
    return;
  }
  const auto desc = onednn::describe_backward<dnnl::convolution_backward_weights>(
      forward, algorithm, x, dw, db, y, strides, dilation, before, after);
  filter_gradient_ = make_pass<dnnl::convolution_backward_weights>(
      desc, DNNL_ARG_DIFF_WEIGHTS, plain_dw, desc.diff_weights_desc(),
      {{DNNL_ARG_SRC, x}, {DNNL_ARG_DIFF_BIAS, db}, {DNNL_ARG_DIFF_DST, y}});
}

template <typename Primitive, typename Desc>
Conv::Cpu::Pass Conv::Cpu::make_pass(const Desc& desc, int weights, const memory::desc& plain,
                                     const memory::desc& format,
                                     std::initializer_list<std::pair<int, memory::desc>> arguments) {
  Pass pass;
  pass.primitive = Primitive(desc);
  pass.weights = weights;
  for (const auto& [key, argument] : arguments)
    if (argument) pass.arguments.emplace(key, onednn::unbound(argument));
  memory& reordered = pass.arguments.emplace(weights, onednn::unbound(format)).first->second;
  pass.plain_weights = onednn::unbound(plain);
  if (format != plain)
    pass.reorder = weights == DNNL_ARG_WEIGHTS ? dnnl::reorder(pass.plain_weights, reordered)
                                               : dnnl::reorder(reordered, pass.plain_weights);
  pass.arguments.emplace(DNNL_ARG_SCRATCHPAD, onednn::unbound(desc.scratchpad_desc()));
  pass.reordered_offset =
      (desc.scratchpad_desc().get_size() + kScratchAlignment - 1) / kScratchAlignment * kScratchAlignment;
  workspace_bytes_ =
      std::max(workspace_bytes_, pass.reordered_offset + (pass.reorder ? format.get_size() : 0));
  return pass;
}

void Conv::Cpu::run(Pass& pass, const void* weights, std::initializer_list<Binding> bindings,
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

void Conv::Cpu::convolve(ConstTensor data, ConstTensor w, ConstTensor b, Tensor result, Tensor workspace) {
  run(*convolve_, w.raw(),
      {{DNNL_ARG_SRC, data.raw()}, {DNNL_ARG_BIAS, b.raw()}, {DNNL_ARG_DST, result.raw()}}, workspace);
  // Not fused: oneDNN's ReLU turns NaN into zero, which would hide that the training has diverged.
  if (spec_.relu) activation_forward({}, Activation::relu, result, result);
}

void Conv::Cpu::data_gradient(ConstTensor w, ConstTensor dresult, Tensor ddata, Tensor workspace) {
  run(*data_gradient_, w.raw(), {{DNNL_ARG_DIFF_SRC, ddata.raw()}, {DNNL_ARG_DIFF_DST, dresult.raw()}},
      workspace);
}

void Conv::Cpu::filter_gradient(ConstTensor data, ConstTensor dresult, Tensor dw, Tensor db,
                                Tensor workspace) {
  if (unfolded_gradient_) return unfolded_gradient_->run(data, dresult, dw, db, workspace);
  run(*filter_gradient_, dw.raw(),
      {{DNNL_ARG_SRC, data.raw()}, {DNNL_ARG_DIFF_BIAS, db.raw()}, {DNNL_ARG_DIFF_DST, dresult.raw()}},
      workspace);
}

}  // namespace lockstep
