#pragma once

#include <memory>

#include "io/dataset/dataset.h"

namespace lockstep {

/// Sequences for a model of the next token. Row i of the data set source.x (N, T) holds whole numbers, the
/// ids of tokens; sample i has x = ids 0 to T - 2, int32, and y = ids 1 to T - 1, the token that follows each
/// position. source.y is not read. The number of classes is options.classes, else the largest id + 1. Throws
/// Error(data) for rows that are no sequences and for ids out of range.
std::unique_ptr<Dataset> open_next_tokens(const DataSource& source, const DatasetOptions& options);

}  // namespace lockstep
