#include "src/ops/conv/conv.h"

#include <algorithm>
#include <vector>

#include "src/device/buffer.h"
#include "src/device/with_cuda.h"
#include "src/ops/check.h"
#include "src/ops/conv/conv_cpu.h"
#include "src/ops/conv/conv_cuda.h"
#include "src/ops/pointwise/activation.h"
#include "src/ops/pointwise/add.h"
#include "src/ops/pointwise/bias.h"

namespace lockstep {

namespace {

/// (first, number of each axis..., last).
template <typename Number>
Shape shape_of(int64_t first, const ConvAxes& axes, Number number, int64_t last) {
  std::vector<int64_t> extents = {first};
  for (const ConvAxis& axis : axes) extents.push_back(number(axis));
  extents.push_back(last);
  return Shape(extents);
}

void check_spec(const ConvSpec& spec) {
  INVARIANT(spec.groups > 0 && spec.channels % spec.groups == 0 && spec.filters % spec.groups == 0,
            "conv: {} groups do not divide {} channels and {} filters", spec.groups, spec.channels,
            spec.filters);
  INVARIANT(!spec.sums || (!spec.bias && !spec.relu && !spec.transposed),
            "conv: sums of what is not the result of the convolution");
  for (const ConvAxis& axis : spec.axes)
    INVARIANT(axis.window > 0 && axis.span() <= axis.padded() && axis.pad_before >= 0 && axis.pad_after >= 0,
              "conv: a window that spans {} is larger than a padded extent of {}", axis.span(),
              axis.padded());
}

/// What a backend implements: the convolution of a spec. Its transpose adds the bias to the data instead.
/// Along one axis it is one along two, the first of extent 1: cuDNN has none along one axis, and oneDNN's
/// depthwise kernels, about ten times as fast as its others, are for two.
ConvSpec implemented(ConvSpec spec) {
  if (spec.transposed) spec.bias = spec.relu = false;
  if (spec.axes.count() == 1) spec.axes = {ConvAxis{}, spec.axes[0]};
  return spec;
}

}  // namespace

ConvAxes::ConvAxes(std::initializer_list<ConvAxis> axes) : ConvAxes(static_cast<int>(axes.size())) {
  std::copy(axes.begin(), axes.end(), axes_.begin());
}

ConvAxes::ConvAxes(int count) : count_(count) {
  INVARIANT(count >= 1 && count <= kMax, "a convolution along {} axes", count);
}

Shape ConvSpec::data() const {
  return shape_of(
      samples, axes, [](const ConvAxis& axis) { return axis.extent; }, channels);
}
Shape ConvSpec::result() const {
  return shape_of(
      samples, axes, [](const ConvAxis& axis) { return axis.outputs(); }, filters);
}
Shape ConvSpec::weights() const {
  return shape_of(
      filters, axes, [](const ConvAxis& axis) { return axis.window; }, channels / groups);
}

int64_t ConvSpec::taps() const {
  int64_t product = 1;
  for (const ConvAxis& axis : axes) product *= axis.window;
  return product;
}

int64_t ConvSpec::flops() const { return 2 * result().elements() * taps() * channels / groups; }

Conv::Conv(Exec exec, const ConvSpec& spec) : exec_(exec), spec_(spec) {
  check_spec(spec);
  if constexpr (kCuda) {
    if (exec.on_cuda()) {
      cuda_ = std::make_shared<Cuda>(exec, implemented(spec));
      return;
    }
  }
  cpu_ = onednn::guarded("conv", [&] { return std::make_unique<Cpu>(implemented(spec)); });
}

Conv::~Conv() = default;
Conv::Conv(Conv&&) noexcept = default;

template <typename Use>
auto Conv::with_backend(Use use) const {
  if constexpr (kCuda) {
    if (cuda_) return use(*cuda_);
  }
  return onednn::guarded("conv", [&] { return use(*cpu_); });
}

size_t Conv::dx_bytes() const {
  constexpr size_t kAlignment = 256;
  if (!spec_.adds_to_dx || with_backend([](const auto& backend) { return backend.adds_to_data(); })) return 0;
  const size_t bytes = static_cast<size_t>(spec_.input().elements()) * size_of(spec_.type);
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

size_t Conv::workspace_bytes() const {
  return dx_bytes() + with_backend([](const auto& backend) { return backend.workspace_bytes(); });
}

bool Conv::gives_sums() const {
  if constexpr (kCuda) {
    if (cuda_) return cuda_->gives_sums();
  }
  return false;
}

void Conv::forward(ConstTensor x, ConstTensor w, ConstTensor b, Tensor y, Tensor workspace, Tensor sums) {
  expect(x, spec_.type, spec_.input(), "conv: x");
  expect(w, spec_.type, spec_.weights(), "conv: w");
  expect(y, spec_.type, spec_.output(), "conv: y");
  if (spec_.bias) expect(b, spec_.type, {spec_.features()}, "conv: b");
  expect_workspace(workspace, workspace_bytes(), "conv");
  INVARIANT(static_cast<bool>(sums) == gives_sums(), "conv: sums are {} given", gives_sums() ? "" : "not");
  if (sums) expect(sums, DType::f32, {2, spec_.features()}, "conv: sums");
  if (spec_.samples == 0) return;
  if constexpr (kCuda) {
    if (sums) return cuda_->convolve_with_sums(x, w, y, sums, workspace);
  }
  if (!spec_.transposed) {
    with_backend([&](auto& backend) { backend.convolve(x, w, b, y, workspace); });
    return;
  }
  with_backend([&](auto& backend) { backend.data_gradient(w, x, y, workspace); });
  if (spec_.bias)
    bias_forward(exec_, y, b, y, spec_.relu);
  else if (spec_.relu)
    activation_forward(exec_, Activation::relu, y, y);
}

void Conv::backward(ConstTensor x, ConstTensor w, ConstTensor y, Tensor dy, Tensor dx, Tensor dw, Tensor db,
                    Tensor workspace) {
  expect(x, spec_.type, spec_.input(), "conv: x");
  expect(w, spec_.type, spec_.weights(), "conv: w");
  expect(dy, spec_.type, spec_.output(), "conv: dy");
  if (dw) expect(dw, DType::f32, spec_.weights(), "conv: dw");
  if (dx) expect(dx, spec_.type, spec_.input(), "conv: dx");
  if (db) expect(db, DType::f32, {spec_.features()}, "conv: db");
  INVARIANT(spec_.needs_dx || !dx, "conv: dx was declared unneeded");
  INVARIANT((spec_.bias && dw) == static_cast<bool>(db), "conv: db belongs to dw and a bias");
  expect_workspace(workspace, workspace_bytes(), "conv");
  if (spec_.samples == 0) {
    if (dw) fill_zero(exec_, dw.raw(), dw.bytes());
    if (db) fill_zero(exec_, db.raw(), db.bytes());
    return;
  }
  // oneDNN adds the gradient of the bias up together with that of the filters.
  const Tensor own_db = spec_.transposed || exec_.on_cuda() ? db : Tensor{};
  if (spec_.relu)
    bias_activation_backward(exec_, Activation::relu, y, dy, own_db);
  else if (own_db)
    bias_backward(exec_, dy, own_db);
  const auto for_dx = static_cast<int64_t>(dx_bytes());
  const Tensor to = dx && for_dx > 0 ? Tensor(workspace.raw(), spec_.type, spec_.input()) : dx;
  const Tensor rest(static_cast<std::byte*>(workspace.raw()) + for_dx, DType::u8,
                    {workspace.elements() - for_dx});
  with_backend([&](auto& backend) {
    if (spec_.transposed) {
      if (dw) backend.filter_gradient(dy, x, dw, {}, rest);
      if (dx) backend.convolve(dy, w, {}, to, rest);
    } else {
      if (dw) backend.filter_gradient(x, dy, dw, own_db ? Tensor{} : db, rest);
      if (dx) backend.data_gradient(w, dy, to, rest);
    }
  });
  if (dx && for_dx > 0) add(exec_, dx, to, dx);
}

}  // namespace lockstep
