#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "io/checkpoint/checkpoint.h"

namespace lockstep {

/// The files of checkpoints that differ in values alone: tensors of the same names, types and shapes, numbers
/// of the same names, the same texts. A run saves many such. What libhdf5 has to do for one is done once,
/// here; then a save is plain writes of bytes to known places and holds no lock of that library, which a
/// thread that reads data may need.
///
/// The layout of a file:
///   /                    attributes: format, version, tensors (names in order, one a line)
///   /metadata/strings    an attribute for each text
///   /metadata/integers   (n) int64; attribute names: one a line. /metadata/reals, (n) float64, likewise
///   /metadata/xxh3       (1 + tensors) int64: a hash of everything but elements, then that of each tensor
///   /NAME                a contiguous data set for each tensor
class CheckpointLayout {
 public:
  /// Takes host memory of a file's size while it runs.
  explicit CheckpointLayout(const Checkpoint& example);

  /// Whether a checkpoint differs from the example in values alone.
  bool fits(const Checkpoint& checkpoint) const;
  /// What save_checkpoint() does, for a checkpoint that fits. Any thread.
  void write(const std::string& path, const Checkpoint& checkpoint) const;

 private:
  /// Where the bytes of one data set go.
  struct Piece {
    int64_t offset = 0;
    size_t bytes = 0;
    size_t source = 0;  ///< tensor number; behind them the integers, the reals and the hashes
  };

  Checkpoint example_;                ///< its tensors have no elements any more
  std::vector<Piece> pieces_;         ///< by offset
  std::vector<std::byte> structure_;  ///< the file without the pieces
};

}  // namespace lockstep
