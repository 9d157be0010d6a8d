#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "io/dataset/dataset.h"

namespace lockstep {

/// The stored rows of a data set, divided into parts of whole blocks, so that each block is decoded once. The
/// division depends on the data alone, so that what is computed of each part, and combined in their order,
/// depends neither on the number of threads nor on that of ranks.
class SampleParts {
 public:
  /// numbers: how many are kept of each part, which limits the number of parts.
  SampleParts(const Dataset& dataset, size_t numbers);

  int64_t count() const { return count_; }
  RowRange rows_of(int64_t part) const;

 private:
  StoredBlocks blocks_;
  int64_t count_;
};

/// Some samples: their numbers, values as stored, and targets as delivered (Dataset::read()).
struct SamplePiece {
  std::span<const int64_t> samples;
  const std::vector<double>& x;         ///< NaN for padding
  const std::vector<int64_t>& lengths;  ///< Dataset::lengths()
  const std::vector<std::byte>& y;      ///< empty unless requested
};

/// Calls visit for the samples in stored rows `rows`, a few MiB at a time. with_targets: reads targets too.
void for_each_piece(const Dataset& dataset, RowRange rows, bool with_targets,
                    const std::function<void(const SamplePiece& piece)>& visit);

}  // namespace lockstep
