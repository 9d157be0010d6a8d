#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "io/hdf5/elements/heap_reader.h"

namespace lockstep::hdf5 {

/// Whether the elements of a data set are strings, of fixed or variable length.
bool holds_text(const Dataset& dataset);

/// Where a string lies in each element of a data set.
struct TextPlace {
  size_t offset = 0, bytes = 0;
  bool has_variable_length = false;
  bool pads_with_spaces = false;
};

/// The place of a string of this type at `offset`; none if it is another type.
std::optional<TextPlace> text_place(hid_t type, size_t offset = 0);

/// Reads rows of strings. For one thread at a time; must not outlive the data set.
class TextReader {
 public:
  /// The data set holds_text(). Throws Error(data) as HeapReader does.
  explicit TextReader(const Dataset& dataset);
  /// Of strings in its elements, such as a field of records.
  TextReader(const Dataset& dataset, const TextPlace& place);

  /// Calls visit(element, text) for the elements of rows [first, first + count) in order, numbered from 0,
  /// without the padding of fixed-length strings. A text is valid during its call. Throws Error(data) that
  /// names the row.
  void read(int64_t first, int64_t count, const std::function<void(int64_t, std::string_view)>& visit);

 private:
  std::string_view text_of(std::span<const std::byte> element);

  const Dataset& dataset_;
  std::optional<HeapReader> heap_;  ///< of variable-length strings
  TextPlace place_;
  std::vector<std::byte> raw_;
};

}  // namespace lockstep::hdf5
