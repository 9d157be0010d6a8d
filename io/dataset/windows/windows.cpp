#include "io/dataset/windows/windows.h"

#include <algorithm>

#include "src/core/error.h"

namespace lockstep {

Windows::Windows(std::span<const int64_t> series, int64_t length, int64_t stride)
    : length_(length), stride_(stride) {
  INVARIANT(length > 0 && stride > 0, "windows of {} rows every {}", length, stride);
  int64_t row = 0;
  for (const int64_t rows : series) {
    const int64_t windows = windows_in(rows, length, stride);
    of_series_.push_back(windows);
    if (windows > 0) series_.push_back({count_ + windows, count_, row});
    count_ += windows;
    row += rows;
  }
}

int64_t Windows::first_row(int64_t window) const {
  INVARIANT(window >= 0 && window < count_, "window {} of {}", window, count_);
  const Series& series =
      *std::upper_bound(series_.begin(), series_.end(), window,
                        [](int64_t wanted, const Series& other) { return wanted < other.windows_end; });
  return series.first_row + (window - series.first_window) * stride_;
}

std::vector<int64_t> Windows::rows_of(std::span<const int64_t> windows) const {
  std::vector<int64_t> rows;
  rows.reserve(windows.size() * static_cast<size_t>(length_));
  for (const int64_t window : windows) {
    const int64_t first = first_row(window);
    for (int64_t row = first; row < first + length_; ++row) rows.push_back(row);
  }
  return rows;
}

std::vector<int64_t> Windows::last_rows_of(std::span<const int64_t> windows) const {
  std::vector<int64_t> rows;
  rows.reserve(windows.size());
  for (const int64_t window : windows) rows.push_back(first_row(window) + length_ - 1);
  return rows;
}

}  // namespace lockstep
