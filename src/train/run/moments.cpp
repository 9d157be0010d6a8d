#include "src/train/run/moments.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "src/core/activity.h"
#include "src/core/error.h"
#include "src/tensor/dtype.h"

namespace lockstep {

namespace {

/// Numbers of each channel: values, mean, sum of squared deviations, smallest and largest value.
class ChannelMoments {
 public:
  static constexpr size_t kNumbers = 4;  ///< per channel in flat(), after the count

  explicit ChannelMoments(size_t channels)
      : mean_(channels), squares_(channels), min_(channels), max_(channels) {}

  /// Adds values whose channel is (i / inner) % channels.
  void add(const std::vector<double>& values, size_t inner) {
    if (values.empty()) return;
    const size_t channels = mean_.size();
    ChannelMoments other(channels);
    other.count_ = static_cast<double>(values.size() / channels);
    std::fill(other.min_.begin(), other.min_.end(), std::numeric_limits<double>::infinity());
    std::fill(other.max_.begin(), other.max_.end(), -std::numeric_limits<double>::infinity());
    const auto for_each = [&](const auto& visit) {
      for (size_t i = 0; i < values.size();)
        for (size_t c = 0; c < channels; ++c)
          for (size_t k = 0; k < inner; ++k) visit(c, values[i++]);
    };
    for_each([&](size_t c, double value) {
      other.mean_[c] += value;
      other.min_[c] = std::min(other.min_[c], value);
      other.max_[c] = std::max(other.max_[c], value);
    });
    for (double& mean : other.mean_) mean /= other.count_;
    for_each([&](size_t c, double value) {
      const double deviation = value - other.mean_[c];
      other.squares_[c] += deviation * deviation;
    });
    add(other);
  }

  void add(const ChannelMoments& other) {
    if (other.count_ == 0) return;
    if (count_ == 0) {
      *this = other;
      return;
    }
    const double all = count_ + other.count_;
    for (size_t c = 0; c < mean_.size(); ++c) {
      const double difference = other.mean_[c] - mean_[c];
      mean_[c] += difference * (other.count_ / all);
      squares_[c] += other.squares_[c] + difference * difference * (count_ * (other.count_ / all));
      min_[c] = std::min(min_[c], other.min_[c]);
      max_[c] = std::max(max_[c], other.max_[c]);
    }
    count_ = all;
  }

  void write(double* flat) const {
    *flat++ = count_;
    for (const auto* of : {&mean_, &squares_, &min_, &max_}) flat = std::copy(of->begin(), of->end(), flat);
  }
  void read(const double* flat) {
    count_ = *flat++;
    for (auto* of : {&mean_, &squares_, &min_, &max_}) {
      std::copy_n(flat, of->size(), of->begin());
      flat += of->size();
    }
  }

  Moments result() const {
    Moments moments{mean_, std::vector<double>(mean_.size())};
    for (size_t c = 0; c < mean_.size(); ++c) {
      const bool varies = min_[c] < max_[c];
      moments.std[c] = varies ? std::sqrt(squares_[c] / count_) : 0;
      if (!varies) moments.mean[c] = min_[c];
    }
    return moments;
  }

 private:
  double count_ = 0;  ///< of each channel
  std::vector<double> mean_, squares_, min_, max_;
};

template <typename T>
void widen(const std::vector<std::byte>& bytes, std::vector<double>& values) {
  values.resize(bytes.size() / sizeof(T));
  for (size_t i = 0; i < values.size(); ++i) {
    T value{};
    std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
    if constexpr (std::is_arithmetic_v<T>)
      values[i] = static_cast<double>(value);
    else
      values[i] = static_cast<double>(static_cast<float>(value));
  }
}

void to_doubles(DType dtype, const std::vector<std::byte>& bytes, std::vector<double>& values) {
  switch (dtype) {
    case DType::u8:
      return widen<uint8_t>(bytes, values);
    case DType::f16:
      return widen<f16>(bytes, values);
    case DType::f32:
      return widen<float>(bytes, values);
    case DType::f64:
      return widen<double>(bytes, values);
    default:
      fail(ExitCode::bug, "moments of {}", to_string(dtype));
  }
}

/// Reads the samples of stored rows [first, end), a few at a time.
ChannelMoments moments_of_rows(const Dataset& dataset, int64_t first, int64_t end, size_t channels,
                               size_t inner) {
  constexpr size_t kBytes = size_t{1} << 22;
  const size_t sample_bytes = static_cast<size_t>(dataset.x_shape().elements()) * size_of(dataset.x_dtype());
  const size_t at_once = std::max<size_t>(1, kBytes / sample_bytes);
  ChannelMoments moments(channels);
  std::vector<int64_t> samples;
  std::vector<std::byte> bytes;
  std::vector<double> values;
  const auto add = [&] {
    bytes.resize(samples.size() * sample_bytes);
    dataset.read(samples, bytes.data(), nullptr);
    to_doubles(dataset.x_dtype(), bytes, values);
    moments.add(values, inner);
    samples.clear();
    activity().progress();
  };
  for (int64_t row = first; row < end; ++row) {
    if (const int64_t sample = dataset.sample_at(row); sample >= 0) samples.push_back(sample);
    if (samples.size() == at_once) add();
  }
  if (!samples.empty()) add();
  return moments;
}

}  // namespace

Moments measure_moments(World& world, const Dataset& dataset, bool channels_first) {
  constexpr int64_t kParts = 256, kMaxNumbers = int64_t{1} << 22;
  const PhaseScope reading(Phase::read);
  const Shape& shape = dataset.x_shape();
  const bool is_first = channels_first && shape.rank() >= 2;
  const int64_t channels = shape.rank() == 0 ? 1 : is_first ? shape[0] : shape[-1];
  const auto inner = static_cast<size_t>(is_first ? shape.elements() / channels : 1);

  // Whole blocks, so that each is decoded once.
  const StoredBlocks blocks = dataset.stored_blocks();
  const auto numbers = static_cast<size_t>(channels) * ChannelMoments::kNumbers + 1;
  const int64_t parts =
      std::clamp(kMaxNumbers / static_cast<int64_t>(numbers), int64_t{1}, std::min(kParts, blocks.count()));
  std::vector<double> of_parts(static_cast<size_t>(parts) * numbers);
  for (int64_t part = 0; part < parts; ++part) {
    if (part * world.size() / parts != world.rank()) continue;
    const auto row_of = [&](int64_t number) {
      const int64_t block = blocks.count() * number / parts;
      return block == blocks.count() ? blocks.rows() : blocks.rows_of(block).first;
    };
    moments_of_rows(dataset, row_of(part), row_of(part + 1), static_cast<size_t>(channels), inner)
        .write(of_parts.data() + static_cast<size_t>(part) * numbers);
  }
  world.sum(of_parts);
  ChannelMoments all(static_cast<size_t>(channels)), one(static_cast<size_t>(channels));
  for (int64_t part = 0; part < parts; ++part) {
    one.read(of_parts.data() + static_cast<size_t>(part) * numbers);
    all.add(one);
  }
  return all.result();
}

}  // namespace lockstep
