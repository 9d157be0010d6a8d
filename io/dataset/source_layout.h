#pragma once

#include "io/dataset/dataset.h"
#include "io/dataset/layouts/open_rows.h"

namespace lockstep {

/// How the rows of the two data sets of a source lie.
struct SourceLayout {
  RowLayout x, y;
};

/// From what the source says and, where it says nothing, the extents in its first file: MATLAB's files have
/// the samples on the last axis of x, and targets (1, N). understood: of the training data, which decides
/// without targets. From options: names of classes, lengths of sequences and missing values. Throws
/// Error(data) as open_rows() does.
SourceLayout layout_of(const DataSource& source, const std::optional<Understood>& understood,
                       const DatasetOptions& options = {});

}  // namespace lockstep
