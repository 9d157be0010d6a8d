#include "src/ops/conv/unfolded_gradient_cpu.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "src/ops/pointwise/bias.h"

namespace lockstep {

namespace {

constexpr size_t kUnfoldedAlignment = 64;

int64_t positions(const ConvSpec& spec) { return spec.result().elements() / spec.filters; }

int64_t filter_elements(const ConvSpec& spec) { return spec.taps() * spec.channels; }

/// Calls use(offset in the axis) for each element of the window at an output; -1: padding.
template <typename Use>
void for_each_tap(const ConvAxis& axis, int64_t output, Use use) {
  for (int64_t tap = 0; tap < axis.window; ++tap) {
    const int64_t at = output * axis.stride + tap * axis.dilation - axis.pad_before;
    use(at < axis.extent ? std::max<int64_t>(at, -1) : -1);
  }
}

/// Copies what the window covers at each position, `pixel` bytes for each of its elements, to `to`.
void unfold(const ConvSpec& spec, const std::byte* data, size_t pixel, std::byte* to) {
  std::array<ConvAxis, ConvAxes::kMax> axes;
  std::copy(spec.axes.begin(), spec.axes.end(), axes.end() - spec.axes.count());
  const ConvAxis &a = axes[0], &b = axes[1], &c = axes[2];
  for (int64_t sample = 0; sample < spec.samples; ++sample)
    for (int64_t i = 0; i < a.outputs(); ++i)
      for (int64_t j = 0; j < b.outputs(); ++j)
        for (int64_t k = 0; k < c.outputs(); ++k)
          for_each_tap(a, i, [&](int64_t in_a) {
            for_each_tap(b, j, [&](int64_t in_b) {
              for_each_tap(c, k, [&](int64_t in_c) {
                const bool inside = in_a >= 0 && in_b >= 0 && in_c >= 0;
                const int64_t from = ((sample * a.extent + in_a) * b.extent + in_b) * c.extent + in_c;
                if (inside)
                  std::memcpy(to, data + static_cast<size_t>(from) * pixel, pixel);
                else
                  std::memset(to, 0, pixel);
                to += pixel;
              });
            });
          });
}

size_t unfolded_bytes(const ConvSpec& spec) {
  const auto elements = static_cast<size_t>(positions(spec) * filter_elements(spec));
  return (elements * size_of(spec.type) + kUnfoldedAlignment - 1) / kUnfoldedAlignment * kUnfoldedAlignment;
}

}  // namespace

bool UnfoldedGradient::suits(const ConvSpec& spec) {
  return spec.groups == 1 && spec.taps() > 1 && positions(spec) <= spec.filters;
}

UnfoldedGradient::UnfoldedGradient(const ConvSpec& spec)
    : spec_(spec),
      rows_(positions(spec)),
      columns_(filter_elements(spec)),
      unfolded_bytes_(unfolded_bytes(spec)),
      product_({}, {.m = spec.filters, .n = columns_, .k = rows_, .transpose_a = true, .type = spec.type}) {}

void UnfoldedGradient::run(ConstTensor data, ConstTensor dresult, Tensor dw, Tensor db, Tensor workspace) {
  auto* const scratch = static_cast<std::byte*>(workspace.raw());
  unfold(spec_, static_cast<const std::byte*>(data.raw()),
         static_cast<size_t>(spec_.channels) * size_of(spec_.type), scratch);
  product_.run(ConstTensor(dresult.raw(), spec_.type, {rows_, spec_.filters}),
               ConstTensor(scratch, spec_.type, {rows_, columns_}), {},
               Tensor(dw.raw(), DType::f32, {spec_.filters, columns_}),
               Tensor(scratch + unfolded_bytes_, DType::u8,
                      {workspace.elements() - static_cast<int64_t>(unfolded_bytes_)}));
  if (db) bias_backward({}, dresult, db);
}

}  // namespace lockstep
