#pragma once

#include <span>
#include <string>

#include "src/core/error.h"
#include "src/device/buffer.h"
#include "src/graph/layers/description.h"
#include "src/tensor/real.h"

namespace lockstep {

// Shared by the layers of this folder.

/// The only input of a layer, which must be numbers. Throws Error(usage) otherwise.
inline const Value& only_input(std::span<const Value> inputs) {
  if (inputs.size() != 1) fail(ExitCode::usage, "takes one input, not {}.", inputs.size());
  if (!is_real(inputs[0].dtype))
    fail(ExitCode::usage,
         "computes with numbers, but its input is {}. A model of token ids begins with an embedding.",
         to_string(inputs[0].dtype));
  return inputs[0];
}

/// (N, ..., C) as a matrix of positions and channels.
inline Shape matrix(const Shape& shape) {
  return {shape[-1] == 0 ? 0 : shape.elements() / shape[-1], shape[-1]};
}

/// The input (H, W, C) of an image layer. Throws Error(usage) otherwise.
inline const Shape& image_input(std::span<const Value> inputs) {
  const Shape& input = only_input(inputs).shape;
  if (input.rank() != 3)
    fail(ExitCode::usage, "works on images (height, width, channels), but its input is {}.",
         to_string(input));
  return input;
}

/// The input of a layer that takes one to three spatial axes and channels. Throws Error(usage) otherwise.
inline const Shape& spatial_input(std::span<const Value> inputs) {
  const Shape& input = only_input(inputs).shape;
  if (input.rank() < 2 || input.rank() > Extents::kMaxAxes + 1)
    fail(ExitCode::usage, "works on one to three spatial axes and channels, but its input is {}.",
         to_string(input));
  return input;
}

/// The same with this number of spatial axes.
inline const Shape& spatial_input(std::span<const Value> inputs, int axes) {
  const Shape& input = only_input(inputs).shape;
  if (input.rank() != axes + 1)
    fail(ExitCode::usage, "works on {}, but its input is {}.",
         axes == 1   ? "sequences (length, channels)"
         : axes == 2 ? "images (height, width, channels)"
                     : "volumes (depth, height, width, channels)",
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

/// "2x1": the number of each of the spatial axes.
inline std::string joined(const Extents& extents, int axes) {
  std::string text = fmt::format("{}", extents[0]);
  for (int axis = 1; axis < axes; ++axis) text += fmt::format("x{}", extents[axis]);
  return text;
}

/// "2" for equal numbers, else "2x1".
inline std::string in_words(const Extents& extents, int axes) {
  for (int axis = 1; axis < axes; ++axis)
    if (extents[axis] != extents[0]) return joined(extents, axes);
  return fmt::format("{}", extents[0]);
}

/// Whether the number of any axis is above 0.
inline bool has_any(const Extents& extents, int axes) {
  for (int axis = 0; axis < axes; ++axis)
    if (extents[axis] > 0) return true;
  return false;
}

/// Enqueues a copy unless both share their memory.
inline void copy_unless_shared(Exec exec, ConstTensor source, Tensor destination) {
  if (source.raw() != destination.raw()) copy(exec, destination.raw(), source.raw(), source.bytes());
}

}  // namespace lockstep
