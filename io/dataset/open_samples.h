#pragma once

#include <memory>

#include "io/dataset/dataset.h"
#include "io/dataset/source_layout.h"

namespace lockstep {

/// Samples in HDF5 files: x and, if the source names them, targets. See open_dataset().
std::unique_ptr<Dataset> open_samples(const DataSource& source, const SourceLayout& layout,
                                      const DatasetOptions& options);

}  // namespace lockstep
