#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "io/dataset/layouts/open_rows.h"
#include "io/hdf5/hdf5.h"
#include "src/core/thread_pool.h"

namespace lockstep {

/// A part of the samples, and the group of the new file that holds it.
struct DivisionPart {
  std::string group;  ///< "/train"
  int64_t samples = 0;
};

/// Which samples of a file go where.
struct Division {
  const std::vector<uint8_t>& part_of;  ///< the part of each sample
  const std::vector<DivisionPart>& parts;
  hdf5::File& out;
  int64_t memory_bytes = 0;
  ThreadPool& pool;                                        ///< compresses
  std::function<void(int64_t bytes)> note_done = nullptr;  ///< called as values are written
};

/// What one name means in a file, as rows that can be divided among parts. Must not outlive the file.
class DividedRows {
 public:
  virtual ~DividedRows() = default;
  virtual int64_t rows() const = 0;
  /// Size of all rows, for reports of progress.
  virtual int64_t bytes() const = 0;
  /// Writes GROUP/`to` for each part, with attributes and with the rows in their stored order. Throws
  /// Error(data).
  virtual void divide(const Division& division, const std::string& to) const = 0;
};

/// Opens what `name` means to training. What is stored as rows stays as it is stored, whatever its elements
/// are: numbers, packed or not, text, records, images, sequences, a sparse matrix, categories. What only
/// training reads as rows becomes a plain data set of them: samples on another axis, fields of records, a
/// data set for each sample. Throws Error(data).
std::unique_ptr<DividedRows> open_to_divide(const hdf5::File& file, const std::string& name,
                                            const RowLayout& layout = {});

}  // namespace lockstep
