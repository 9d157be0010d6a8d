#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace lockstep {

/// How many windows of `length` rows, one every `stride`, a series of `rows` has room for.
inline int64_t windows_in(int64_t rows, int64_t length, int64_t stride) {
  return rows < length ? 0 : (rows - length) / stride + 1;
}

/// Windows of series that lie one after another, such as those of several files. No window reaches from one
/// into the next; rows at the end of a series that do not fill a window are left out.
class Windows {
 public:
  /// series: the number of rows of each. length and stride are at least 1.
  Windows(std::span<const int64_t> series, int64_t length, int64_t stride);

  int64_t count() const { return count_; }
  int64_t length() const { return length_; }
  int64_t stride() const { return stride_; }
  /// The first row of a window.
  int64_t first_row(int64_t window) const;
  /// Appends all rows of these windows, or only the last of each.
  std::vector<int64_t> rows_of(std::span<const int64_t> windows) const;
  std::vector<int64_t> last_rows_of(std::span<const int64_t> windows) const;
  /// The number of windows of each series.
  const std::vector<int64_t>& of_series() const { return of_series_; }

 private:
  struct Series {
    int64_t windows_end, first_window, first_row;
  };
  int64_t length_, stride_, count_ = 0;
  std::vector<Series> series_;  ///< those with windows
  std::vector<int64_t> of_series_;
};

}  // namespace lockstep
