#pragma once

#include <span>
#include <string>

#include "src/core/error.h"
#include "src/device/buffer.h"
#include "src/tensor/tensor.h"

namespace lockstep {

// What the layers of this folder share.

/// The input of a layer that takes one; throws Error(usage) when it was given another number of them.
inline const Shape& only_input(std::span<const Shape> inputs) {
  if (inputs.size() != 1) fail(ExitCode::usage, "takes one input, not {}.", inputs.size());
  return inputs[0];
}

/// The input (H, W, C) of a layer that works on images.
inline const Shape& image_input(std::span<const Shape> inputs) {
  const Shape& input = only_input(inputs);
  if (input.rank() != 3)
    fail(ExitCode::usage, "works on images (height, width, channels), but its input is {}.",
         to_string(input));
  return input;
}

/// Throws Error(usage) unless the option is at least `least` and not absurd: products of three options fit an
/// int64_t.
inline void check_option(const char* option, int64_t value, int64_t least) {
  constexpr int64_t kMost = int64_t{1} << 20;
  if (value < least || value > kMost)
    fail(ExitCode::usage, "{} is {}, but it must be from {} to {}.", option, value, least, kMost);
}

/// Throws Error(usage) unless a window that spans (h, w) fits into the padded image.
inline void check_window_fits(const char* what, int64_t h, int64_t w, int64_t pad_h, int64_t pad_w,
                              const Shape& image) {
  if (h <= image[0] + 2 * pad_h && w <= image[1] + 2 * pad_w) return;
  const std::string padded = pad_h + pad_w == 0 ? "" : fmt::format(" with its padding {}x{}", pad_h, pad_w);
  fail(ExitCode::usage, "{} {}x{} is larger than the {}x{} input{}.", what, h, w, image[0], image[1], padded);
}

/// "2" for equal numbers, else "2x1".
inline std::string both(int64_t h, int64_t w) {
  return h == w ? fmt::format("{}", h) : fmt::format("{}x{}", h, w);
}

/// Enqueues a copy unless both share their memory.
inline void copy_unless_shared(Exec exec, ConstTensor source, Tensor destination) {
  if (source.raw() != destination.raw()) copy(exec, destination.raw(), source.raw(), source.bytes());
}

}  // namespace lockstep
