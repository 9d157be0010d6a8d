#pragma once

// The shapes of a convolution for its kernels. For .cu files.
#include <cstdint>

#include "src/device/kernels/launch.h"
#include "src/ops/conv/conv.h"

namespace lockstep::cuda {

/// A position along three axes, or extents; fewer axes have an extent of 1 in front.
struct Triple {
  int64_t a, b, c;

  __host__ __device__ int64_t product() const { return a * b * c; }
};

/// A position of a sample.
struct SamplePosition {
  int64_t sample;
  Triple at;
};

/// Position number i of all samples, whose positions have these extents.
__device__ inline SamplePosition position_of(int64_t i, const Triple& extents) {
  // 64-bit divisions are slow, and few tensors need them.
  if (i <= 0x7fffffff) {
    const uint32_t position = static_cast<uint32_t>(i), c = static_cast<uint32_t>(extents.c),
                   b = static_cast<uint32_t>(extents.b), a = static_cast<uint32_t>(extents.a);
    const uint32_t line = position / c, plane = line / b, sample = plane / a;
    return {sample, {plane - sample * a, line - plane * b, position - line * c}};
  }
  const int64_t line = i / extents.c, plane = line / extents.b, sample = plane / extents.a;
  return {sample, {plane - sample * extents.a, line - plane * extents.b, i - line * extents.c}};
}

/// The number of a position.
__device__ inline int64_t index_of(int64_t sample, int64_t a, int64_t b, int64_t c, const Triple& extents) {
  return ((sample * extents.a + a) * extents.b + b) * extents.c + c;
}

/// ConvSpec and values that kernels derive from it.
struct ConvGeometry {
  int64_t samples, channels, filters;
  int64_t group_channels, group_filters;  ///< of one group
  Triple in, out, window, stride, padding, dilation;

  explicit ConvGeometry(const ConvSpec& spec)
      : samples(spec.samples),
        channels(spec.channels),
        filters(spec.filters),
        group_channels(spec.channels / spec.groups),
        group_filters(spec.filters / spec.groups),
        in(of(spec, [](const ConvAxis& axis) { return axis.extent; })),
        out(of(spec, [](const ConvAxis& axis) { return axis.outputs(); })),
        window(of(spec, [](const ConvAxis& axis) { return axis.window; })),
        stride(of(spec, [](const ConvAxis& axis) { return axis.stride; })),
        padding(of(spec, [](const ConvAxis& axis) { return axis.pad_before; })),
        dilation(of(spec, [](const ConvAxis& axis) { return axis.dilation; })) {}

  /// number(axis) of the axes, and of an axis with standard values for those that the spec does not have.
  template <typename Number>
  static Triple of(const ConvSpec& spec, Number number) {
    const auto from_last = [&](int i) {
      return number(i < spec.axes.count() ? spec.axes[spec.axes.count() - 1 - i] : ConvAxis{});
    };
    return {from_last(2), from_last(1), from_last(0)};
  }
};

/// The input position that filter element f reads for an output, along one axis; outside of [0, extent) it
/// is padding.
__device__ inline int64_t input_of(int64_t output, int64_t f, int64_t padding, int64_t stride,
                                   int64_t dilation) {
  return output * stride - padding + f * dilation;
}

/// The output that reads an input position through filter element f, along one axis, or -1.
__device__ inline int64_t output_of(int64_t input, int64_t f, int64_t padding, int64_t stride,
                                    int64_t dilation, int64_t outputs) {
  const int64_t scaled = input + padding - f * dilation;
  if (scaled < 0) return -1;
  if (stride == 1) return scaled < outputs ? scaled : -1;
  // 64-bit divisions are slow, and few tensors need them.
  const int64_t output = scaled <= 0x7fffffff
                             ? int64_t{static_cast<uint32_t>(scaled) / static_cast<uint32_t>(stride)}
                             : scaled / stride;
  return output * stride == scaled && output < outputs ? output : -1;
}

/// Calls use(filter element, input position number) for all inputs that an output position reads.
template <typename Use>
__device__ void for_each_input(const ConvGeometry& g, const SamplePosition& output, Use use) {
  for (int64_t r = 0; r < g.window.a; ++r) {
    const int64_t a = input_of(output.at.a, r, g.padding.a, g.stride.a, g.dilation.a);
    if (a < 0 || a >= g.in.a) continue;
    for (int64_t s = 0; s < g.window.b; ++s) {
      const int64_t b = input_of(output.at.b, s, g.padding.b, g.stride.b, g.dilation.b);
      if (b < 0 || b >= g.in.b) continue;
      for (int64_t t = 0; t < g.window.c; ++t) {
        const int64_t c = input_of(output.at.c, t, g.padding.c, g.stride.c, g.dilation.c);
        if (c < 0 || c >= g.in.c) continue;
        use((r * g.window.b + s) * g.window.c + t, index_of(output.sample, a, b, c, g.in));
      }
    }
  }
}

/// Calls use(filter element, output position number) for all outputs that read an input position.
template <typename Use>
__device__ void for_each_output(const ConvGeometry& g, const SamplePosition& input, Use use) {
  for (int64_t r = 0; r < g.window.a; ++r) {
    const int64_t a = output_of(input.at.a, r, g.padding.a, g.stride.a, g.dilation.a, g.out.a);
    if (a < 0) continue;
    for (int64_t s = 0; s < g.window.b; ++s) {
      const int64_t b = output_of(input.at.b, s, g.padding.b, g.stride.b, g.dilation.b, g.out.b);
      if (b < 0) continue;
      for (int64_t t = 0; t < g.window.c; ++t) {
        const int64_t c = output_of(input.at.c, t, g.padding.c, g.stride.c, g.dilation.c, g.out.c);
        if (c < 0) continue;
        use((r * g.window.b + s) * g.window.c + t, index_of(input.sample, a, b, c, g.out));
      }
    }
  }
}

}  // namespace lockstep::cuda
