#pragma once

#include <string>

#include "src/device/buffer.h"
#include "src/graph/network_output.h"
#include "src/ops/loss/elementwise_loss.h"
#include "src/train/objective/data_signature.h"
#include "src/train/run/options.h"

namespace lockstep {

/// The training objective: the kind of the targets, and the loss with its options.
///
/// The loss of a step is the mean over the targets of its global batch. With class_weights or ignore_label it
/// is PyTorch's weighted mean, sum(w l) / sum(w), over the global batch: numerator, denominator and gradients
/// are summed over micro-batches and ranks, and divide_by_weights() divides once, so that the loss does not
/// depend on how the batch is divided.
class Objective {
 public:
  /// Throws Error(usage) when the options do not fit the targets: the wrong number of class weights, say.
  Objective(Exec exec, const TrainOptions& options, const DataSignature& data);

  TargetKind kind() const { return kind_; }
  /// Whether a target is one of several classes.
  bool classifies() const { return kind_ == TargetKind::classes || kind_ == TargetKind::probabilities; }
  /// Number of classes, or of numbers or labels per sample.
  int64_t outputs() const { return outputs_; }
  /// Number of classified positions per sample: 1, or one for each position of a mask.
  int64_t positions() const { return kind_ == TargetKind::classes ? y_shape_.elements() : 1; }
  /// One sample's targets, as stored.
  const Shape& target_shape() const { return y_shape_; }
  /// The output that the network must have for a sample.
  NetworkOutput network_output() const;
  /// The label to ignore, or CrossEntropySpec::kNoLabel.
  int32_t ignored_label() const { return ignored_label_; }

  /// Shape and type of the targets of `rows` samples, as the loader delivers them.
  Shape raw_y_shape(int64_t rows) const;
  DType y_dtype() const { return kind_ == TargetKind::classes ? DType::i32 : DType::f32; }

  /// Whether loss() can also take outputs of this shape for a sample from longer rows, of which it reads the
  /// first outputs() numbers: a network that pads its outputs need not copy them.
  bool reads_padded(const Shape& output) const;
  /// metrics (kLossMetrics) and output_gradient (as output) of a micro-batch; see src/ops/loss/loss.h.
  /// output_gradient is empty in evaluation, which has no label smoothing. Classes may be given as
  /// probabilities (rows, outputs) float32 too, where a sample has one.
  void loss(const MicroBatchInfo* info, ConstTensor output, ConstTensor target, Tensor output_gradient,
            Tensor metrics) const;
  /// Whether the step has to call divide_by_weights().
  bool weighs_targets() const { return weighs_targets_; }
  /// In place: probabilities, where the targets are classes or labels.
  void activate(Tensor output) const;

  /// "cross-entropy, class weights 0.52 to 2.4", for messages.
  std::string describe_loss() const;

 private:
  void set_class_weights(const ClassWeights& weights, const DataSignature& data);
  void set_positive_weights(const std::vector<double>& weights);
  Buffer upload(const std::vector<double>& values) const;

  Exec exec_;
  TargetKind kind_;
  Shape y_shape_;
  int64_t outputs_;
  Loss loss_;
  float label_smoothing_, huber_delta_;
  int32_t ignored_label_ = CrossEntropySpec::kNoLabel;
  bool weighs_targets_ = false;
  Buffer class_weights_, positive_weights_;  // float32, empty: all 1
  std::string described_weights_;
};

/// What [data] task and [train] loss together say of the targets. Throws Error(usage) when they disagree.
TargetTask target_task(const TrainOptions& options);

/// "cross_entropy": the name of a loss in a config.
std::string to_string(Loss loss);

}  // namespace lockstep
