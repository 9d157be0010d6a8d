#pragma once

#include "io/dataset/dataset.h"
#include "src/device/buffer.h"
#include "src/ops/micro_batch.h"
#include "src/tensor/tensor.h"
#include "src/train/run/options.h"

namespace lockstep {

/// What a model must know of the data it was trained on; stored in checkpoints, so that eval and predict need
/// no training data.
struct DataSignature {
  Shape x_shape;  ///< one sample as stored
  DType x_dtype = DType::f32;
  TargetKind target_kind = TargetKind::none;
  Shape y_shape;
  int64_t outputs = 0;  ///< classes, or width of the target
};
DataSignature signature_of(const Dataset& dataset);
/// As JSON, and back. Throws Error(data) for a damaged text.
std::string to_json(const DataSignature& signature);
DataSignature parse_signature(const std::string& text);

/// What the data decides: the network's input and outputs, how stored samples become inputs, and the loss.
class Task {
 public:
  /// Throws Error(usage) when the options do not fit the data: the wrong number of means, say.
  Task(Exec exec, const TrainOptions& options, const DataSignature& data);

  /// One sample as the network sees it, channels-last.
  const Shape& input_shape() const { return input_shape_; }
  /// Classes, or width of the target.
  int64_t outputs() const { return data_.outputs; }
  const DataSignature& data() const { return data_; }
  /// Whether accuracy means something.
  bool classifies() const { return data_.target_kind != TargetKind::values; }

  /// Throws Error(data) when another data set (validation, test, a file to predict) has samples or targets of
  /// another shape or kind; `what` names it in the message.
  void check_compatible(const Dataset& dataset, const std::string& what) const;

  /// Raw rows as stored -> float32 input of the network, enqueued.
  void preprocess(ConstTensor raw, Tensor input) const;
  /// See src/ops/loss/loss.h; output_gradient is empty in evaluation, which has no label smoothing.
  void loss(const MicroBatchInfo* info, ConstTensor output, ConstTensor target, Tensor output_gradient,
            Tensor metrics) const;

  /// Shape of `rows` samples as the loader delivers them.
  Shape raw_x_shape(int64_t rows) const { return data_.x_shape.batched(rows); }
  Shape raw_y_shape(int64_t rows) const;
  DType x_dtype() const { return data_.x_dtype; }
  DType y_dtype() const { return data_.target_kind == TargetKind::classes ? DType::i32 : DType::f32; }

 private:
  Exec exec_;
  DataSignature data_;
  Shape input_shape_;
  float label_smoothing_;
  bool channels_first_;
  Buffer affine_;  // (3, C) float32: pivot, scale and shift of preprocess()
};

}  // namespace lockstep
