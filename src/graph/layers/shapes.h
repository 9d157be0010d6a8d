#pragma once

#include <span>
#include <string>

#include "src/core/error.h"
#include "src/device/buffer.h"
#include "src/graph/layers/description.h"

namespace lockstep {

// Shared by the layers of this folder.

/// The only input of a layer, which must be floating-point. Throws Error(usage) otherwise.
inline const Value& only_input(std::span<const Value> inputs) {
  if (inputs.size() != 1) fail(ExitCode::usage, "takes one input, not {}.", inputs.size());
  if (inputs[0].dtype != DType::f32)
    fail(ExitCode::usage,
         "computes with float32, but its input is {}. A model of token ids begins with an embedding.",
         to_string(inputs[0].dtype));
  return inputs[0];
}

/// The input (H, W, C) of an image layer. Throws Error(usage) otherwise.
inline const Shape& image_input(std::span<const Value> inputs) {
  const Shape& input = only_input(inputs).shape;
  if (input.rank() != 3)
    fail(ExitCode::usage, "works on images (height, width, channels), but its input is {}.",
         to_string(input));
  return input;
}

/// Throws Error(usage) unless the option has one number, or one per spatial axis.
inline void check_axes(const char* option, const Extents& extents, int axes) {
  if (extents.axes() != 1 && extents.axes() != axes)
    fail(ExitCode::usage, "{} has {} numbers, but the input has {} spatial axes.", option, extents.axes(),
         axes);
}

/// Throws Error(usage) unless a window of (h, w) fits into the padded image.
inline void check_window_fits(const char* what, int64_t h, int64_t w, int64_t pad_h, int64_t pad_w,
                              const Shape& image) {
  if (h <= image[0] + 2 * pad_h && w <= image[1] + 2 * pad_w) return;
  const std::string padded = pad_h + pad_w == 0 ? "" : fmt::format(" with its padding {}x{}", pad_h, pad_w);
  fail(ExitCode::usage, "{} {}x{} is larger than the {}x{} input{}.", what, h, w, image[0], image[1], padded);
}

/// "2" for equal numbers, else "2x1". Of two spatial axes.
inline std::string in_words(const Extents& extents) {
  return extents[0] == extents[1] ? fmt::format("{}", extents[0])
                                  : fmt::format("{}x{}", extents[0], extents[1]);
}

/// Enqueues a copy unless both share their memory.
inline void copy_unless_shared(Exec exec, ConstTensor source, Tensor destination) {
  if (source.raw() != destination.raw()) copy(exec, destination.raw(), source.raw(), source.bytes());
}

}  // namespace lockstep
