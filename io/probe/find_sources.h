#pragma once

#include <string>
#include <vector>

#include "io/hdf5/hdf5.h"
#include "io/probe/inspect.h"

namespace lockstep {

/// Samples, and their targets, that a file seems to hold: the names by which a config reads them.
struct FoundSource {
  std::string x;
  std::string y;  ///< "" if none was found
  /// The group whose x and y they are, so that a config may write "FILE:GROUP"; "" for other names.
  std::string group;
  /// Whether the last axis of x counts the samples, by the number of targets.
  bool is_last_axis = false;
};

/// The fields of a table that seem to be samples and targets: an array, or else all numbers side by side, and
/// a field with such a name or with names of classes. Without names if there are no such fields.
FoundSource find_fields(const hdf5::Dataset& table);

/// Several data sets that a config names as one.
struct FoundObject {
  enum class Kind {
    sparse_matrix,  ///< a group with the data sets data, indices and indptr (CSR)
    categories,     ///< a group with codes and categories, which are names of classes
    samples,        ///< a data set for each sample, as a pattern with a *
  };
  Kind kind;
  std::string name;
  std::vector<std::string> parts;  ///< the names of the data sets
};

/// What data sets of a file make together.
std::vector<FoundObject> find_objects(const std::vector<DatasetDescription>& datasets);

/// The sources of a file. Those in groups with an x are certain; further ones are guessed from names such as
/// label, from names of classes and from the numbers of rows: a data set of numbers, a sparse matrix, or a
/// data set for each sample (as a pattern). Reads nothing.
std::vector<FoundSource> find_sources(const std::vector<DatasetDescription>& datasets);

}  // namespace lockstep
