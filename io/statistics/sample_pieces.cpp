#include "io/statistics/sample_pieces.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <type_traits>

#include "src/core/error.h"
#include "src/tensor/dtype.h"

namespace lockstep {

namespace {

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
    case DType::i32:
      return widen<int32_t>(bytes, values);
    case DType::f16:
      return widen<f16>(bytes, values);
    case DType::f32:
      return widen<float>(bytes, values);
    case DType::f64:
      return widen<double>(bytes, values);
    default:
      fail(ExitCode::bug, "samples of {}", to_string(dtype));
  }
}

/// Padding is no value of the data, so that it must not count as one.
void replace_padding(std::span<const int64_t> lengths, std::vector<double>& values) {
  for (size_t sample = 0; sample < lengths.size(); ++sample) {
    const auto elements = static_cast<std::ptrdiff_t>(values.size() / lengths.size());
    const auto begin = values.begin() + static_cast<std::ptrdiff_t>(sample) * elements;
    std::fill(begin + lengths[sample], begin + elements, std::numeric_limits<double>::quiet_NaN());
  }
}

}  // namespace

SampleParts::SampleParts(const Dataset& dataset, size_t numbers) : blocks_(dataset.stored_blocks()) {
  constexpr int64_t kParts = 256, kMaxNumbers = int64_t{1} << 22;
  count_ =
      std::clamp(kMaxNumbers / static_cast<int64_t>(numbers), int64_t{1}, std::min(kParts, blocks_.count()));
}

RowRange SampleParts::rows_of(int64_t part) const {
  const auto begin_of = [&](int64_t number) {
    const int64_t block = blocks_.count() * number / count_;
    return block == blocks_.count() ? blocks_.rows() : blocks_.rows_of(block).first;
  };
  return {begin_of(part), begin_of(part + 1) - begin_of(part)};
}

void for_each_piece(const Dataset& dataset, RowRange rows, bool with_targets,
                    const std::function<void(const SamplePiece& piece)>& visit) {
  constexpr size_t kBytes = size_t{1} << 22, kTargetBytes = size_t{1} << 26;
  const size_t sample_bytes = static_cast<size_t>(dataset.x_shape().elements()) * size_of(dataset.x_dtype());
  const size_t y_bytes = with_targets ? static_cast<size_t>(dataset.y_shape().elements()) * sizeof(float) : 0;
  const size_t at_once =
      std::max<size_t>(1, std::min(kBytes / sample_bytes, kTargetBytes / std::max<size_t>(1, y_bytes)));
  std::vector<int64_t> samples;
  std::vector<std::byte> x, y;
  std::vector<double> values;
  const auto pass = [&] {
    x.resize(samples.size() * sample_bytes);
    y.resize(samples.size() * y_bytes);
    dataset.read(samples, x.data(), with_targets ? y.data() : nullptr);
    to_doubles(dataset.x_dtype(), x, values);
    const std::vector<int64_t> lengths = dataset.lengths(samples);
    replace_padding(lengths, values);
    visit({samples, values, lengths, y});
    samples.clear();
  };
  for (int64_t row = rows.first; row < rows.first + rows.count; ++row) {
    if (const int64_t sample = dataset.sample_at(row); sample >= 0) samples.push_back(sample);
    if (samples.size() == at_once) pass();
  }
  if (!samples.empty()) pass();
}

}  // namespace lockstep
