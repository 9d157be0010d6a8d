#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "io/dataset/stored_blocks.h"

namespace lockstep {

/// A range of rows as Python's slices write it: from `first` up to but not including `end`; negative numbers
/// count from the end, and none means the beginning or the end.
struct RowSlice {
  std::optional<int64_t> first, end;

  bool is_all() const { return !first && !end; }
  /// The rows that it means of `rows`, the length of the data set `where`. Throws Error(data) that names them
  /// if it reaches beyond them or means none.
  RowRange of(int64_t rows, const std::string& where) const;
};

/// "100:200", "100:", ":-100" or ":"; none if the text is not a range.
std::optional<RowSlice> parse_row_slice(const std::string& text);
/// The same text again; "" for all rows.
std::string to_string(const RowSlice& slice);

}  // namespace lockstep
