#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "io/checkpoint/atomic_hdf5.h"
#include "io/dataset/dataset.h"
#include "src/tensor/tensor.h"

namespace lockstep {

/// A model's prediction for one sample.
struct Answer {
  TargetKind kind = TargetKind::values;
  Shape positions = {};     ///< of classes at each of them; () for one class a sample
  Shape values;             ///< at each position: (C) classes, or the labels or numbers in their own shape
  int64_t first_label = 0;  ///< what class 0 is written as
  ClassNames class_names = {};  ///< of the classes, or empty
};

/// Writes a model's predictions to an HDF5 file, a block of rows at a time, in the order of the data set:
///   one class a sample     /prediction (N) int32, the label of the most probable class, and /probabilities
///                          (N, C) float32
///   a class at a position  /prediction (N, H, W) or the like, int32
///   labels                 /prediction (N, L) int32, 1 above a probability of a half, and /probabilities
///   numbers                /prediction (N, ...) float32
/// If the classes have names, these are the attribute class_names of /prediction, in the order of their
/// numbers; and, for a part of a data set, /sample (N) int64: the row of each sample in the stored data.
/// The file appears complete or not at all, in commit(); until then the rows are kept in memory.
class PredictionWriter {
 public:
  PredictionWriter(const std::string& path, int64_t samples, const Answer& answer);

  /// Stores rows [first, first + n). values (n, positions, values) float32 on the host: probabilities, or
  /// numbers.
  void write(int64_t first, const ConstTensor& values);
  /// Stores /sample, all at once.
  void write_samples(std::span<const int64_t> rows);
  void commit();

 private:
  AtomicHdf5 output_;
  int64_t samples_;
  Answer answer_;
};

}  // namespace lockstep
