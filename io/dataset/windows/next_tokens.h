#pragma once

#include <memory>

#include "io/dataset/dataset.h"

namespace lockstep {

/// Sequences for next-token prediction. Row i of the data set source.x (N, T) holds T integers, the ids of
/// tokens. Sample i consists of x = ids 0 to T - 2, int32, and y = ids 1 to T - 1: the token that follows
/// each position. source.y is not read. The number of classes is options.classes if set, else the largest id
/// + 1. A data set (N) is cut into windows, if options.context is set: see open_token_windows(). Throws
/// Error(data) if the rows are not sequences of at least two ids, or for an id out of range.
std::unique_ptr<Dataset> open_next_tokens(const DataSource& source, const DatasetOptions& options);

}  // namespace lockstep
