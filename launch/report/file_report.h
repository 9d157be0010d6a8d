#pragma once

#include <string>
#include <vector>

#include "io/probe/inspect.h"

namespace lockstep {

/// Data sets that differ in nothing but the numbers in their names and their number of rows.
struct AlikeDatasets {
  std::vector<const DatasetDescription*> members;  ///< in the order of these numbers; at least one

  const DatasetDescription& first() const { return *members.front(); }
  /// "/data/0 to /data/9999 (10,000 data sets)".
  std::string name() const;
  /// "(28, 28)", or "(3 to 17, 28)".
  std::string shape() const;
  int64_t stored_bytes() const;
};

/// Groups data sets, in name order of their first members. Two that are alike stay apart.
std::vector<AlikeDatasets> group_alike(const std::vector<DatasetDescription>& datasets);

/// A line for each group of alike data sets that are read slowly as they are stored: why, in words. Empty if
/// there is none.
std::vector<std::string> slow_layouts(const std::vector<AlikeDatasets>& groups);

std::string shape_text(const std::vector<int64_t>& extents);

/// For people: data sets in at most 80 columns, unless a name is longer; sentences about what cannot be
/// trained on, warnings, broken links, and how to store what is read slowly.
void print_file(const FileDescription& file);

}  // namespace lockstep
