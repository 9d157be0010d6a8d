#include "src/train/objective/objective.h"

#include <algorithm>
#include <array>

#include "src/ops/pointwise/activation.h"

namespace lockstep {

namespace {

/// A loss, the task that it applies to, and its names in configs and in messages.
struct LossName {
  Loss loss;
  TargetTask task;
  const char *key, *words;
};
constexpr std::array kLosses = {
    LossName{Loss::cross_entropy, TargetTask::classes, "cross_entropy", "cross-entropy"},
    LossName{Loss::binary_cross_entropy, TargetTask::labels, "binary_cross_entropy", "binary cross-entropy"},
    LossName{Loss::mean_squared_error, TargetTask::values, "mean_squared_error", "mean squared error"},
    LossName{Loss::mean_absolute_error, TargetTask::values, "mean_absolute_error", "mean absolute error"},
    LossName{Loss::huber, TargetTask::values, "huber", "Huber loss"}};

const LossName& name_of(Loss loss) { return *std::ranges::find(kLosses, loss, &LossName::loss); }

const char* name_of(TargetTask task) {
  switch (task) {
    case TargetTask::classes:
      return "classes";
    case TargetTask::labels:
      return "labels";
    case TargetTask::values:
      return "values";
    case TargetTask::tokens:
      return "tokens";
    case TargetTask::automatic:
      break;
  }
  return "auto";
}

/// A mask (H, W, 1) has the positions (H, W).
Shape without_channel(const Shape& mask) {
  std::vector<int64_t> extents = extents_of(mask);
  while (!extents.empty() && extents.back() == 1) extents.pop_back();
  return Shape(extents);
}

Loss loss_of(const TrainOptions& options, TargetKind kind) {
  const TargetTask task = kind == TargetKind::labels   ? TargetTask::labels
                          : kind == TargetKind::values ? TargetTask::values
                                                       : TargetTask::classes;
  // `bench step` generates classes, regardless of the loss in the config.
  if (options.train.loss != Loss::automatic && name_of(options.train.loss).task == task)
    return options.train.loss;
  return std::ranges::find(kLosses, task, &LossName::task)->loss;
}

}  // namespace

std::string to_string(Loss loss) { return loss == Loss::automatic ? "auto" : name_of(loss).key; }

TargetTask target_task(const TrainOptions& options) {
  if (options.train.loss == Loss::automatic) return options.data.task;
  const LossName& loss = name_of(options.train.loss);
  // Tokens are classes, of which there is one at each position.
  if (options.data.task == TargetTask::tokens && loss.task == TargetTask::classes) return TargetTask::tokens;
  if (options.data.task != TargetTask::automatic && options.data.task != loss.task)
    fail(ExitCode::usage,
         "train.loss = \"{}\" does not fit data.task = \"{}\": it compares {}. Leave one of the two out.",
         loss.key, name_of(options.data.task), name_of(loss.task));
  return loss.task;
}

Objective::Objective(Exec exec, const TrainOptions& options, const DataSignature& data)
    : exec_(exec),
      kind_(data.target_kind),
      y_shape_(data.y_shape),
      outputs_(data.outputs),
      loss_(loss_of(options, data.target_kind)),
      label_smoothing_(static_cast<float>(options.train.label_smoothing)),
      huber_delta_(static_cast<float>(options.train.huber_delta)) {
  if (classifies()) set_class_weights(options.train.class_weights, data);
  if (kind_ == TargetKind::classes) {
    if (options.train.ignore_label) ignored_label_ = static_cast<int32_t>(*options.train.ignore_label);
    weighs_targets_ = options.train.ignore_label.has_value() || class_weights_.size() > 0;
  }
  if (kind_ == TargetKind::labels) set_positive_weights(options.train.pos_weight);
}

Buffer Objective::upload(const std::vector<double>& values) const {
  const std::vector<float> host(values.begin(), values.end());
  Buffer buffer(exec_, Memory::device, host.size() * sizeof(float));
  copy(exec_, buffer.data(), host.data(), buffer.size());
  synchronize(exec_);
  return buffer;
}

void Objective::set_class_weights(const ClassWeights& weights, const DataSignature& data) {
  if (weights.kind == ClassWeights::Kind::none) return;
  const auto classes = static_cast<size_t>(outputs_);
  std::vector<double> values = weights.values;
  if (weights.kind == ClassWeights::Kind::balanced) {
    if (data.class_targets.empty())
      fail(ExitCode::usage,
           "train.class_weights = \"balanced\" counts the targets of each class, but these targets are {}. "
           "Give the weights as a list.",
           kind_ == TargetKind::classes ? "tokens, which are not counted" : "probabilities");
    double targets = 0, occurring = 0;
    for (const int64_t count : data.class_targets) {
      targets += static_cast<double>(count);
      occurring += count > 0 ? 1 : 0;
    }
    // A class without targets has the weight 1.
    values.assign(classes, 1);
    for (size_t c = 0; c < std::min(classes, data.class_targets.size()); ++c)
      if (const auto count = static_cast<double>(data.class_targets[c]); count > 0)
        values[c] = targets / (occurring * count);
  }
  if (values.size() != classes)
    fail(ExitCode::usage,
         "train.class_weights has {} weights, but the data has {} classes. Give one for each class.",
         values.size(), classes);
  const auto [min, max] = std::ranges::minmax(values);
  described_weights_ = fmt::format(", class weights {:.3g} to {:.3g}", min, max);
  class_weights_ = upload(values);
}

void Objective::set_positive_weights(const std::vector<double>& weights) {
  if (weights.empty()) return;
  const auto last = static_cast<size_t>(y_shape_[-1]);
  std::vector<double> values = weights.size() == 1 ? std::vector(last, weights[0]) : weights;
  if (values.size() != last)
    fail(ExitCode::usage,
         "train.pos_weight has {} weights, but the targets have {} labels. Give one weight, or one for each "
         "label.",
         values.size(), last);
  const auto [min, max] = std::ranges::minmax(values);
  described_weights_ = fmt::format(", weights of positive labels {:.3g} to {:.3g}", min, max);
  positive_weights_ = upload(values);
}

NetworkOutput Objective::network_output() const {
  if (kind_ == TargetKind::classes) return {outputs_, without_channel(y_shape_)};
  if (classifies() || y_shape_.rank() < 2) return {outputs_};
  // Numbers or labels with several axes: the last axis is the width of the output.
  const std::vector<int64_t> positions(y_shape_.extents().begin(), y_shape_.extents().end() - 1);
  return {y_shape_[-1], Shape(positions)};
}

bool Objective::reads_padded(const Shape& output) const {
  return loss_ == Loss::cross_entropy && output == network_output().shape();
}

Shape Objective::raw_y_shape(int64_t rows) const {
  return kind_ == TargetKind::classes ? y_shape_.batched(rows) : Shape{rows, outputs_};
}

void Objective::loss(const MicroBatchInfo* info, ConstTensor output, ConstTensor target,
                     Tensor output_gradient, Tensor metrics) const {
  const int64_t samples = target.shape()[0], rows = samples * positions();
  const Shape targets{rows, outputs_}, answers{rows, rows == 0 ? outputs_ : output.elements() / rows};
  const ConstTensor answer = output.reshaped(answers);
  const Tensor gradient = output_gradient ? output_gradient.reshaped(answers) : output_gradient;
  // Label smoothing is part of the training objective only; evaluation compares with the labels themselves.
  const CrossEntropySpec spec{
      .label_smoothing = output_gradient ? label_smoothing_ : 0,
      .positions = positions(),
      .class_weights = class_weights_.size() > 0 ? class_weights_.as<float>().data() : nullptr,
      .ignored_label = ignored_label_,
      .classes = outputs_};
  const auto elementwise = [&](ElementwiseLoss loss) {
    elementwise_loss(
        exec_, info,
        {.loss = loss,
         .huber_delta = huber_delta_,
         .positive_weights = positive_weights_.size() > 0 ? positive_weights_.as<float>().data() : nullptr,
         .positive_columns = positive_weights_.size() > 0 ? y_shape_[-1] : 1},
        answer, target.reshaped(targets), gradient, metrics);
  };
  switch (loss_) {
    case Loss::cross_entropy:
      if (target.dtype() == DType::i32)
        return softmax_cross_entropy(exec_, info, spec, answer, target.reshaped({rows}), gradient, metrics);
      return softmax_cross_entropy_soft(exec_, info, spec, answer, target.reshaped(targets), gradient,
                                        metrics);
    case Loss::binary_cross_entropy:
      return elementwise(ElementwiseLoss::binary_cross_entropy);
    case Loss::mean_squared_error:
      return elementwise(ElementwiseLoss::squared);
    case Loss::mean_absolute_error:
      return elementwise(ElementwiseLoss::absolute);
    case Loss::huber:
      return elementwise(ElementwiseLoss::huber);
    case Loss::automatic:
      break;
  }
}

void Objective::activate(Tensor output) const {
  if (classifies()) {
    const Tensor rows = output.reshaped({output.shape().elements() / outputs_, outputs_});
    softmax(exec_, rows, rows);
  } else if (kind_ == TargetKind::labels) {
    activation_forward(exec_, Activation::sigmoid, output, output);
  }
}

std::string Objective::describe_loss() const {
  std::string text = name_of(loss_).words + described_weights_;
  if (ignored_label_ != CrossEntropySpec::kNoLabel) text += fmt::format(", label {} ignored", ignored_label_);
  return text;
}

}  // namespace lockstep
