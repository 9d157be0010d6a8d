#pragma once

#include "io/dataset/dataset.h"
#include "src/device/buffer.h"
#include "src/graph/value.h"
#include "src/tensor/tensor.h"
#include "src/train/objective/objective.h"
#include "src/train/run/options.h"

namespace lockstep {

/// Everything that the data determines: the network's input, the conversion of stored samples to it, and the
/// objective.
class Task {
 public:
  /// Throws Error(usage) when the options do not fit the data: the wrong number of means, say.
  Task(Exec exec, const TrainOptions& options, const DataSignature& data);

  Exec exec() const { return exec_; }
  /// One sample as the network sees it, channels-last: float32 numbers, or int32 token ids.
  const Value& input() const { return input_; }
  const DataSignature& data() const { return data_; }
  const Objective& objective() const { return objective_; }

  /// Throws Error(data) if another data set (validation, test, a file to predict) has samples or targets of a
  /// different shape or kind; `what` names it in the message.
  void check_compatible(const Dataset& dataset, const std::string& what) const;

  /// Converts raw rows as stored to the network's input; enqueued. Token ids stay as they are.
  void preprocess(ConstTensor raw, Tensor input) const;

  /// Shape of `rows` samples as the loader delivers them.
  Shape raw_x_shape(int64_t rows) const { return data_.x_shape.batched(rows); }
  DType x_dtype() const { return data_.x_dtype; }

 private:
  /// Whether the samples are token ids: no other samples are delivered as int32.
  bool are_ids() const { return data_.x_dtype == DType::i32; }

  Exec exec_;
  DataSignature data_;
  Value input_;
  Objective objective_;
  bool channels_first_;
  Buffer affine_;  // (3, C) float32: pivot, scale and shift of preprocess()
};

}  // namespace lockstep
