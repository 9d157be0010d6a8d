#pragma once

#include "io/dataset.h"
#include "src/device/buffer.h"
#include "src/ops/micro_batch.h"
#include "src/tensor/tensor.h"
#include "src/train/options.h"

namespace lockstep {

/// What the data set decides: the network's input and outputs, how stored samples become inputs, and the
/// loss.
class Task {
 public:
  /// Throws Error(usage) when the options do not fit the data: the wrong number of means, say.
  Task(Exec exec, const TrainOptions& options, const Dataset& dataset);

  /// One sample as the network sees it, channels-last.
  const Shape& input_shape() const { return input_shape_; }
  /// Classes, or width of the target.
  int64_t outputs() const { return outputs_; }
  TargetKind target_kind() const { return target_kind_; }
  /// Whether accuracy means something.
  bool classifies() const { return target_kind_ != TargetKind::values; }

  /// Throws Error(data) when another data set (validation, test, a file to predict) has samples or targets of
  /// another shape or kind; `what` names it in the message.
  void check_compatible(const Dataset& dataset, const std::string& what) const;

  /// Raw rows as stored -> float32 input of the network, enqueued.
  void preprocess(ConstTensor raw, Tensor input) const;
  /// See src/ops/loss.h; output_gradient is empty in evaluation.
  void loss(const MicroBatchInfo* info, ConstTensor output, ConstTensor target, Tensor output_gradient,
            Tensor metrics) const;

  /// Shape of `rows` samples as the loader delivers them.
  Shape raw_x_shape(int64_t rows) const { return x_shape_.batched(rows); }
  Shape raw_y_shape(int64_t rows) const;
  DType x_dtype() const { return x_dtype_; }
  DType y_dtype() const { return target_kind_ == TargetKind::classes ? DType::i32 : DType::f32; }

 private:
  Exec exec_;
  Shape x_shape_, y_shape_, input_shape_;
  DType x_dtype_;
  TargetKind target_kind_;
  int64_t outputs_ = 0;
  float label_smoothing_;
  bool channels_first_;
  Buffer scale_, shift_;  // (C) float32
};

}  // namespace lockstep
