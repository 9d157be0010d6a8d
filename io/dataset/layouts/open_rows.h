#pragma once

#include <memory>
#include <optional>
#include <string>

#include "io/dataset/rows/stored_rows.h"
#include "io/dataset/targets/class_names.h"

namespace lockstep {

/// What a config says about the rows of a data set that its file does not say.
struct RowLayout {
  int sample_axis = 0;     ///< the axis that counts the samples; negative: from the last
  TargetNames names = {};  ///< of the classes, if the rows are targets
  int64_t length = 0;  ///< of sequences of variable length, which are padded to it; 0: that of the longest
  double padding = 0;
  std::optional<double> missing = std::nullopt;  ///< what NaN and missing values are read as; none: as NaN
  /// Whether the rows are targets: integers with a _FillValue keep it, because it may be a label to ignore.
  bool are_targets = false;

  bool operator==(const RowLayout&) const = default;
};

/// Opens the rows that `name` means in a file. To add a layout, write a class of StoredRows in this folder
/// and choose it here. Throws Error(data) if there is no such data set, if a file that it refers to is
/// missing, or if it does not hold at least one row of numbers; the message says what it is instead, and what
/// to do.
std::unique_ptr<StoredRows> open_rows(const std::string& path, const std::string& name,
                                      const RowLayout& layout = {});

/// How a config may name the values of a data set that does not hold plain numbers, such as "fields, ...: x =
/// ..."; "" if it holds plain numbers, or none that can be read.
std::string usable_as(const hdf5::Dataset& dataset);

}  // namespace lockstep
