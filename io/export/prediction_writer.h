#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "io/checkpoint/atomic_hdf5.h"
#include "src/tensor/tensor.h"

namespace lockstep {

/// Writes a model's predictions to an HDF5 file, a block of rows at a time, in the order of the data set:
///   classification  /prediction (N) int32, the most probable class, and /probabilities (N, C) float32
///   regression      /prediction (N, ...) float32
/// and, for a part of a data set, /sample (N) int64: the row of each sample in the stored data.
/// The file appears complete or not at all, in commit(); until then the rows are kept in memory.
class PredictionWriter {
 public:
  /// output: the shape of the model's output for one sample, (C) for classification.
  PredictionWriter(const std::string& path, int64_t samples, const Shape& output, bool classifies);

  /// Stores rows [first, first + n). values (n, ...): float32 on the host, probabilities or regression
  /// values.
  void write(int64_t first, const ConstTensor& values);
  /// Stores /sample, all at once.
  void write_samples(std::span<const int64_t> rows);
  void commit();

 private:
  AtomicHdf5 output_;
  int64_t samples_;
  Shape answer_;
  bool classifies_;
};

}  // namespace lockstep
