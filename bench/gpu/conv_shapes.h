#pragma once

#include <fmt/core.h>

#include <string>
#include <vector>

namespace lockstep {

/// A convolution of square images, with square filters and the same padding on all sides.
struct ConvShape {
  const char* model;
  int samples, channels, edge, filters, window, stride, padding;
  int groups = 1;

  int result_edge() const { return (edge + 2 * padding - window) / stride + 1; }
  int64_t data() const { return int64_t{samples} * channels * edge * edge; }
  int64_t result() const { return int64_t{samples} * filters * result_edge() * result_edge(); }
  int64_t weights() const { return int64_t{filters} * (channels / groups) * window * window; }
  /// "64 x 64x56x56, 128 of 3x3/2"
  std::string name() const {
    return fmt::format("{} x {}x{}x{}, {} of {}x{}{}{}", samples, channels, edge, edge, filters, window,
                       window, stride == 1 ? "" : fmt::format("/{}", stride),
                       groups == 1 ? "" : fmt::format(" in {} groups", groups));
  }
};

/// Of `cnn` in batches of 128.
inline void add_cnn(std::vector<ConvShape>& shapes) {
  shapes.push_back({"cnn", 128, 1, 28, 32, 3, 1, 0});
  shapes.push_back({"cnn", 128, 32, 13, 64, 3, 1, 0});
}

/// Each different one of `resnet50` in batches of 64: the first layer, then the blocks of each stage.
inline void add_resnet50(std::vector<ConvShape>& shapes) {
  constexpr int kBatch = 64;
  const auto add = [&](int channels, int edge, int filters, int window, int stride) {
    shapes.push_back({"resnet50", kBatch, channels, edge, filters, window, stride, window / 2});
  };
  add(3, 224, 64, 7, 2);
  int channels = 64, edge = 56;
  for (const int width : {64, 128, 256, 512}) {
    const int stride = width == 64 ? 1 : 2;
    add(channels, edge, width, 1, 1);
    if (stride == 2) add(width, edge, width, 3, 2);
    add(channels, edge, 4 * width, 1, stride);
    edge /= stride;
    channels = 4 * width;
    add(channels, edge, width, 1, 1);
    add(width, edge, width, 3, 1);
    if (stride == 2) add(width, edge, channels, 1, 1);  // in the first stage it is as the shortcut's
  }
}

/// The depthwise ones of `mobilenet_v1` in batches of 64.
inline void add_mobilenet(std::vector<ConvShape>& shapes) {
  const auto add = [&](int channels, int edge, int stride) {
    shapes.push_back({"mobilenet_v1", 64, channels, edge, channels, 3, stride, 1, channels});
  };
  add(32, 112, 1);
  int edge = 112;
  for (const int channels : {64, 128, 256, 512}) {
    add(channels, edge, 2);
    edge /= 2;
    add(2 * channels, edge, 1);
  }
}

}  // namespace lockstep
