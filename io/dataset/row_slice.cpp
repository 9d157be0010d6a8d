#include "io/dataset/row_slice.h"

#include <charconv>
#include <string_view>

#include "src/core/counted.h"
#include "src/core/error.h"

namespace lockstep {

namespace {

/// Whether `text` is a whole number or empty, which leaves `number` unset.
bool read_bound(std::string_view text, std::optional<int64_t>& number) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  if (text.empty()) return true;
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return false;
  number = value;
  return true;
}

}  // namespace

RowRange RowSlice::of(int64_t rows, const std::string& where) const {
  const auto place = [&](int64_t bound) { return bound < 0 ? bound + rows : bound; };
  const int64_t begin = place(first.value_or(0)), behind = end ? place(*end) : rows;
  if (begin < 0 || begin > rows || behind < 0 || behind > rows)
    fail(ExitCode::data, "{} has {}, so that rows = \"{}\" reaches beyond them.", where, counted(rows, "row"),
         to_string(*this));
  if (begin >= behind)
    fail(ExitCode::data, "rows = \"{}\" means none of the {} of {}.", to_string(*this), counted(rows, "row"),
         where);
  return {begin, behind - begin};
}

std::optional<RowSlice> parse_row_slice(const std::string& text) {
  const size_t colon = text.find(':');
  RowSlice slice;
  if (colon == std::string::npos || !read_bound(std::string_view(text).substr(0, colon), slice.first) ||
      !read_bound(std::string_view(text).substr(colon + 1), slice.end))
    return std::nullopt;
  return slice;
}

std::string to_string(const RowSlice& slice) {
  if (slice.is_all()) return "";
  const auto bound = [](const std::optional<int64_t>& number) {
    return number ? std::to_string(*number) : std::string();
  };
  return bound(slice.first) + ":" + bound(slice.end);
}

}  // namespace lockstep
