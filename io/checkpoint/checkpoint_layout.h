#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "io/checkpoint/checkpoint.h"

namespace lockstep {

/// The file layout shared by checkpoints that differ only in values: tensors of the same names, types and
/// shapes, numbers of the same names, the same texts. A run saves many of these. The constructor does
/// libhdf5's part once; each save is then plain writes at known offsets and does not hold the library's lock,
/// which threads that read data may need.
///
/// The layout of a file:
///   /                    attributes: format, version, tensors (names in order, one a line)
///   /metadata/strings    an attribute for each text
///   /metadata/integers   (n) int64; attribute names: one a line. /metadata/reals, (n) float64, likewise
///   /metadata/xxh3       (1 + tensors) int64: a hash of everything but elements, then that of each tensor
///   /NAME                a contiguous data set for each tensor
class CheckpointLayout {
 public:
  /// Needs host memory of the size of a file while it runs.
  explicit CheckpointLayout(const Checkpoint& example);

  /// Whether a checkpoint differs from the example only in values.
  bool fits(const Checkpoint& checkpoint) const;
  /// Same as save_checkpoint(), for a checkpoint that fits. Thread-safe.
  void write(const std::string& path, const Checkpoint& checkpoint) const;

 private:
  /// The location of one data set's bytes.
  struct Piece {
    int64_t offset = 0;
    size_t bytes = 0;
    size_t source = 0;  ///< index of the tensor; then the integers, the reals and the hashes
  };

  Checkpoint example_;                ///< without the tensors' elements
  std::vector<Piece> pieces_;         ///< by offset
  std::vector<std::byte> structure_;  ///< the file without the pieces
};

}  // namespace lockstep
