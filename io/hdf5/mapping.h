#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "io/hdf5/hdf5.h"

namespace lockstep::hdf5 {

/// One mapping of a virtual data set: a part of it, and the part of a source that it refers to.
struct Mapping {
  std::string file, name;  ///< patterns when they are numbered
  Id virtual_space, source_space;
  /// The axes along which it grows with its source, or with the number of sources; -1: fixed size.
  int virtual_axis = -1, source_axis = -1;
  bool has_end() const { return virtual_axis < 0; }
};
std::vector<Mapping> mappings_of(const Dataset& dataset);

/// "f-3.h5" of the pattern "f-%b.h5", as libhdf5 forms it.
std::string numbered(const std::string& pattern, int64_t number);
bool is_numbered(const std::string& pattern);

/// The extents of a space, whatever is selected in it.
std::vector<hsize_t> extents_of(hid_t space);
/// The first and last row of the selection in a space; none if it is unlimited or empty.
std::optional<std::pair<int64_t, int64_t>> rows_of(hid_t space);

/// A sentence about the rows of a virtual data set that no source is mapped to, or "".
std::string unmapped_rows(const Dataset& dataset, const std::vector<Mapping>& mappings);

}  // namespace lockstep::hdf5
