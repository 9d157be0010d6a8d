#pragma once

#include <string>
#include <vector>

#include "io/hdf5/hdf5.h"
#include "io/probe/inspect.h"

namespace lockstep {

/// Bytes of the values of a data set; 0 if they are not numbers. In floating point, which a hostile header
/// does not overflow.
double bytes_of(const hdf5::Dataset& dataset);

/// How much of a file has been read.
struct CheckProgress {
  double done = 0, all = 0;  ///< bytes

  /// Reports that `more` bytes than `done` have been read.
  void note(double more) const;
};

/// Whether each row is a sequence or an image of its own.
bool is_decoded_by_row(const hdf5::Dataset& dataset);

/// Reads all values of a data set with this description, as training does. Adds a sentence to `problems` for
/// each that there is.
DatasetCheck check_dataset(const hdf5::File& file, const hdf5::Dataset& dataset,
                           DatasetDescription description, const CheckProgress& progress,
                           std::vector<std::string>& problems);

/// The same of a group that is a sparse matrix.
DatasetCheck check_sparse_matrix(const hdf5::File& file, const std::string& group,
                                 std::vector<std::string>& problems);

}  // namespace lockstep
