#pragma once

#include <string>
#include <vector>

#include "io/dataset/dataset.h"
#include "src/tensor/tensor.h"

namespace lockstep {

/// What a model must know about its training data. Stored in checkpoints, so that eval and predict do not
/// need that data.
struct DataSignature {
  Shape x_shape;  ///< one sample as stored
  DType x_dtype = DType::f32;
  TargetKind target_kind = TargetKind::none;
  Shape y_shape;                            ///< one sample's targets as stored: () for one class
  int64_t outputs = 0;                      ///< number of classes, or of numbers or labels per sample
  std::vector<int64_t> class_targets = {};  ///< number of targets of each class; empty unless counted
  ClassNames class_names = {};              ///< Dataset::class_names()
  /// Of the stored values of each channel (measure_moments()); empty unless measured.
  std::vector<double> mean = {}, std = {};
  Understood understood = {};
};
/// counts_classes: whether to fill class_targets.
DataSignature signature_of(const Dataset& dataset, bool counts_classes = false);
/// The same for sequences of another, shorter length; see Dataset::lengths().
DataSignature with_length(const DataSignature& whole, int64_t length);
/// As JSON, and back. Throws Error(data) for a damaged text.
std::string to_json(const DataSignature& signature);
DataSignature parse_signature(const std::string& text);

}  // namespace lockstep
