#include "io/statistics/channel_moments.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lockstep {

Channels Channels::of(const Shape& sample, bool channels_first) {
  const bool is_first = channels_first && sample.rank() >= 2;
  const int64_t channels = sample.rank() == 0 ? 1 : is_first ? sample[0] : sample[-1];
  return {.count = static_cast<size_t>(channels),
          .inner = static_cast<size_t>(is_first ? sample.elements() / channels : 1)};
}

ChannelMoments::ChannelMoments(size_t channels)
    : count_(channels), mean_(channels), squares_(channels), min_(channels), max_(channels) {}

void ChannelMoments::add(const std::vector<double>& values, size_t inner) {
  const size_t channels = mean_.size();
  ChannelMoments piece(channels);
  std::fill(piece.min_.begin(), piece.min_.end(), std::numeric_limits<double>::infinity());
  std::fill(piece.max_.begin(), piece.max_.end(), -std::numeric_limits<double>::infinity());
  const auto for_each = [&](const auto& visit) {
    for (size_t i = 0; i < values.size();)
      for (size_t c = 0; c < channels; ++c)
        for (size_t k = 0; k < inner; ++k, ++i)
          if (std::isfinite(values[i])) visit(c, values[i]);
  };
  for_each([&](size_t c, double value) {
    piece.count_[c] += 1;
    piece.mean_[c] += value;
    piece.min_[c] = std::min(piece.min_[c], value);
    piece.max_[c] = std::max(piece.max_[c], value);
  });
  for (size_t c = 0; c < channels; ++c)
    if (piece.count_[c] > 0) piece.mean_[c] /= piece.count_[c];
  for_each([&](size_t c, double value) {
    const double deviation = value - piece.mean_[c];
    piece.squares_[c] += deviation * deviation;
  });
  add(piece);
}

void ChannelMoments::add(const ChannelMoments& other) {
  for (size_t c = 0; c < mean_.size(); ++c)
    add(c, other.count_[c], other.mean_[c], other.squares_[c], other.min_[c], other.max_[c]);
}

void ChannelMoments::add(size_t c, double count, double mean, double squares, double min, double max) {
  if (count == 0) return;
  const bool is_first = count_[c] == 0;
  const double all = count_[c] + count, difference = mean - mean_[c];
  min_[c] = is_first ? min : std::min(min_[c], min);
  max_[c] = is_first ? max : std::max(max_[c], max);
  mean_[c] = is_first ? mean : mean_[c] + difference * (count / all);
  squares_[c] =
      is_first ? squares : squares_[c] + (squares + difference * difference * (count_[c] * (count / all)));
  count_[c] = all;
}

void ChannelMoments::write(double* flat) const {
  for (const auto* of : {&count_, &mean_, &squares_, &min_, &max_})
    flat = std::copy(of->begin(), of->end(), flat);
}

void ChannelMoments::read(const double* flat) {
  for (auto* of : {&count_, &mean_, &squares_, &min_, &max_}) {
    std::copy_n(flat, of->size(), of->begin());
    flat += of->size();
  }
}

double ChannelMoments::deviation(size_t channel) const {
  return varies(channel) ? std::sqrt(squares_[channel] / count_[channel]) : 0;
}

ChannelMoments ChannelMoments::over_all_channels() const {
  ChannelMoments all(1);
  for (size_t c = 0; c < mean_.size(); ++c) all.add(0, count_[c], mean_[c], squares_[c], min_[c], max_[c]);
  return all;
}

}  // namespace lockstep
