#pragma once

#include <string>
#include <vector>

#include "io/dataset/dataset.h"
#include "src/tensor/tensor.h"

namespace lockstep {

/// What a model must know of the data it was trained on; stored in checkpoints, so that eval and predict need
/// no training data.
struct DataSignature {
  Shape x_shape;  ///< one sample as stored
  DType x_dtype = DType::f32;
  TargetKind target_kind = TargetKind::none;
  Shape y_shape;                            ///< one sample's targets as stored: () for one class
  int64_t outputs = 0;                      ///< classes, or how many numbers or labels a sample has
  std::vector<int64_t> class_targets = {};  ///< how many there are of each class; empty unless counted
};
/// counts_classes: whether class_targets is wanted.
DataSignature signature_of(const Dataset& dataset, bool counts_classes = false);
/// As JSON, and back. Throws Error(data) for a damaged text.
std::string to_json(const DataSignature& signature);
DataSignature parse_signature(const std::string& text);

}  // namespace lockstep
