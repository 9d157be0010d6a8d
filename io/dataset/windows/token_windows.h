#pragma once

#include <memory>

#include "io/dataset/dataset.h"

namespace lockstep {

/// Windows of one long sequence of token ids for next-token prediction. The data set source.x (N), or several
/// of them one after another, holds N integers. Sample i begins at id s i, with a stride s of options.stride
/// or, if that is 0, options.context = T: x = ids s i to s i + T - 1, int32, and y = the ids of one position
/// later. Windows overlap where s < T, without being stored: in memory there is each id once, in 1, 2 or 4
/// bytes as in the file. source.y is not read. The number of classes is options.classes if set, else the
/// largest id + 1. Throws Error(data) for an id out of range, or if there are fewer than T + 1 ids.
std::unique_ptr<Dataset> open_token_windows(const DataSource& source, const DatasetOptions& options);

}  // namespace lockstep
