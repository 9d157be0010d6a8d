#include "io/statistics/histogram.h"

#include <algorithm>
#include <utility>

namespace lockstep {

namespace {

/// Bins are numbered from -kMaxBin to kMaxBin - 1, which doubles count exactly.
constexpr double kMaxBin = 0x1p30;

/// The bin, 2^doublings times as wide, that contains a bin.
int64_t widened(int64_t bin, int doublings) { return bin >> std::min(doublings, 63); }

bool is_bin(double number) { return number >= -kMaxBin && number < kMaxBin; }

}  // namespace

size_t Histogram::first() const {
  return static_cast<size_t>(std::ranges::find_if(counts_, [](int64_t count) { return count > 0; }) -
                             counts_.begin());
}

size_t Histogram::last() const {
  size_t last = counts_.size();
  while (last > 0 && counts_[last - 1] == 0) --last;
  return last;
}

int64_t Histogram::bins() const {
  return std::max<int64_t>(0, static_cast<int64_t>(last()) - static_cast<int64_t>(first()));
}

double Histogram::lower_bound(int64_t bin) const {
  return (begin_ + static_cast<double>(first()) + static_cast<double>(bin)) / scale_;
}

void Histogram::add_outside(double value) {
  int exponent = exponent_;
  const auto bin_of = [&] { return std::floor(std::ldexp(value, -exponent)); };
  while (!is_bin(bin_of())) ++exponent;
  const auto bin = static_cast<int64_t>(bin_of());
  make_room(exponent, bin, bin);
  ++counts_[static_cast<size_t>(static_cast<int64_t>(std::floor(value * scale_) - begin_))];
}

void Histogram::add(const Histogram& other) {
  if (other.bins() == 0) return;
  const auto window = static_cast<int64_t>(other.begin_);
  const auto low = window + static_cast<int64_t>(other.first());
  const auto high = window + static_cast<int64_t>(other.last()) - 1;
  const int raised = std::max(0, exponent_ - other.exponent_);
  make_room(other.exponent_ + raised, widened(low, raised), widened(high, raised));
  const int shift = exponent_ - other.exponent_;
  for (int64_t bin = low; bin <= high; ++bin)
    counts_[static_cast<size_t>(widened(bin, shift) - static_cast<int64_t>(begin_))] +=
        other.counts_[static_cast<size_t>(bin - window)];
}

void Histogram::make_room(int exponent, int64_t low, int64_t high) {
  const auto window = static_cast<int64_t>(begin_);
  const bool has_values = bins() > 0;
  const int64_t own_low = window + static_cast<int64_t>(first());
  const int64_t own_high = window + static_cast<int64_t>(last()) - 1;
  const auto shifted = [&](int64_t bin) { return widened(bin, exponent - exponent_); };
  const auto ends = [&] {
    return has_values ? std::pair(std::min(low, shifted(own_low)), std::max(high, shifted(own_high)))
                      : std::pair(low, high);
  };
  for (; ends().second - ends().first >= kBins; ++exponent) {
    low >>= 1;
    high >>= 1;
  }
  const int64_t begin = ends().first;
  std::array<int64_t, kBins> counts{};
  for (size_t i = 0; i < counts_.size(); ++i)
    if (counts_[i] > 0)
      counts[static_cast<size_t>(shifted(window + static_cast<int64_t>(i)) - begin)] += counts_[i];
  counts_ = counts;
  exponent_ = exponent;
  scale_ = std::ldexp(1.0, -exponent);
  begin_ = static_cast<double>(begin);
  end_ = std::min(begin_ + static_cast<double>(kBins), kMaxBin);
}

}  // namespace lockstep
