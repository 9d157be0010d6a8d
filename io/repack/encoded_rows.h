#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "io/repack/raw_rows.h"
#include "io/repack/repack_ranks.h"
#include "io/repack/row_writer.h"
#include "src/core/thread_pool.h"

namespace lockstep {

/// How the rows of a repacked data set are made from those of the original.
struct RowRecipe {
  RowStorage storage;
  bool shuffle = false;  ///< rows are in the order of Permutation(seed, rows)
  uint64_t seed = 1;
};

/// Reads and encodes rows [first, first + count) of the repacked data set; `first` is that of a chunk. A
/// shuffled one is read as a whole.
EncodedRows make_rows(const RawRows& from, const RowRecipe& recipe, int64_t first, int64_t count,
                      ThreadPool& pool);

/// The rows of one repacked data set in pieces, which the ranks make in turn and rank 0 gets in order: each
/// rank is always at work on one piece. For rank 0. Must not outlive its arguments.
class PiecesOfRows {
 public:
  PiecesOfRows(const RawRows& from, const RowRecipe& recipe, int64_t piece_rows, const RepackRanks& ranks,
               ThreadPool& pool);

  struct Piece {
    int64_t rows = 0;  ///< 0: there are no more
    EncodedRows encoded = {};
  };
  /// Throws Error: the one that another rank has, too.
  Piece next();

 private:
  int64_t rows_of(int64_t piece) const;
  void assign(int64_t piece) const;

  const RawRows& from_;
  const RowRecipe& recipe_;
  int64_t piece_rows_;
  const RepackRanks& ranks_;
  ThreadPool& pool_;
  int64_t next_ = 0;
};

/// Serves PiecesOfRows on the other ranks, until dismiss_helpers(). Errors are sent to rank 0.
void help_to_make_rows(const std::string& in, const RepackRanks& ranks, int threads);
/// For rank 0.
void dismiss_helpers(const RepackRanks& ranks);

}  // namespace lockstep
