#include "src/train/step/micro_batch.h"

#include <algorithm>

#include "src/core/step_part.h"
#include "src/ops/loss/output_loss.h"

namespace lockstep {

MicroBatchInfo micro_batch_info(int64_t first, int64_t rows, int64_t real, int64_t step, float weight) {
  return {step, static_cast<int32_t>(std::clamp<int64_t>(real - first, 0, rows)), weight};
}

size_t MicroBatches::Rows::bytes() const {
  return static_cast<size_t>(shape.elements() * count) * size_of(dtype);
}

void MicroBatches::Rows::load(CopyStream& copies, ConstTensor batch, int64_t first_row) const {
  if (!batch) return;
  const size_t row_bytes = static_cast<size_t>(shape.elements() / shape[0]) * size_of(dtype);
  copies.copy(data, static_cast<const std::byte*>(batch.raw()) + static_cast<size_t>(first_row) * row_bytes,
              bytes());
}

ConstTensor MicroBatches::Rows::at(int64_t number) const {
  const size_t of_one = static_cast<size_t>(shape.elements()) * size_of(dtype);
  return {data + static_cast<size_t>(number) * of_one, dtype, shape};
}

MicroBatches::MicroBatches(Exec exec, const Task& task, int64_t rows, int64_t count,
                           const MicroBatches* shares)
    : x_{task.x_dtype(), task.raw_x_shape(rows), count},
      y_{task.objective().y_dtype(), task.objective().raw_y_shape(rows), count},
      sample_index_{DType::i64, {rows}, count} {
  const BatchLayout layout(x_.bytes(), y_.bytes(), rows * count);
  bytes_ = layout.bytes;
  if (shares == nullptr) own_block_ = Buffer(exec, Memory::device, bytes_);
  INVARIANT(shares == nullptr || shares->bytes_ >= bytes_, "{} bytes of samples in {}", bytes_,
            shares->bytes_);
  block_ = shares == nullptr ? own_block_.data() : shares->block_;
  x_.data = block_;
  y_.data = block_ + layout.y;
  sample_index_.data = block_ + layout.sample_index;
}

void MicroBatches::load(CopyStream& copies, const Batch& batch, int64_t first) const {
  if (first == 0 && batch.block.size() == bytes_) return copies.copy(block_, batch.block.data(), bytes_);
  x_.load(copies, batch.x, first);
  y_.load(copies, batch.y, first);
  sample_index_.load(copies, batch.sample_index, first);
}

MicroBatch MicroBatches::at(int64_t number, const MicroBatchInfo* info) const {
  return {info, x_.at(number), y_.at(number), sample_index_.at(number), {}};
}

namespace {

/// Fills the network's input with normalized and, in training, augmented samples. Returns the targets, which
/// are those of the batch unless they were augmented too.
ConstTensor prepare_samples(const Task& task, Network& network, const MicroBatch& batch) {
  const StepPlaceScope place(StepPart::input);
  const Augmenter* const augmenter = batch.augmentation.augmenter;
  if (augmenter == nullptr) {
    task.preprocess(batch.x, network.input());
    return batch.y;
  }
  task.preprocess(batch.x, augmenter->first(batch.augmentation, network.input()));
  return augmenter->apply(batch.augmentation, network.input(), batch.y);
}

/// The loss of a network in training, weighted over its outputs, and the gradients of its outputs.
void loss(const Task& task, const Network& network, const MicroBatch& batch, std::span<float> reduced) {
  const StepPlaceScope place(StepPart::loss);
  const Tensor total(reduced.data(), DType::f32, {kLossMetrics});
  const std::span<const Network::Output> outputs = network.outputs();
  if (!network.output_metrics(0, reduced))
    return task.objective().loss(batch.info, outputs[0].values, batch.y, outputs[0].gradient, total);
  for (size_t k = 0; k < outputs.size(); ++k) {
    const Tensor own = network.output_metrics(k, reduced);
    task.objective().loss(batch.info, outputs[k].values, batch.y, outputs[k].gradient, own);
    add_output_loss(task.exec(), outputs[k].weight, k == 0, own, outputs[k].gradient, total);
  }
}

}  // namespace

void predict(const Task& task, Network& network, const MicroBatch& batch) {
  prepare_samples(task, network, batch);
  network.forward({batch.info, batch.sample_index, {}});
}

void evaluate(const Task& task, Network& network, const MicroBatch& batch, Tensor metrics) {
  predict(task, network, batch);
  task.objective().loss(batch.info, network.output(), batch.y, {}, metrics);
}

void train(const Task& task, Network& network, const MicroBatch& batch, std::span<float> reduced,
           const JointSum* joint_sum, const MicroBatchObserver& observer) {
  const Network::MicroBatch part{batch.info, batch.sample_index, reduced, joint_sum,
                                 observer.forward_done ? &observer.forward_done : nullptr};
  MicroBatch augmented = batch;
  augmented.y = prepare_samples(task, network, batch);
  if (observer.input_done) observer.input_done();
  network.forward(part);
  loss(task, network, augmented, reduced);
  if (observer.loss_done) observer.loss_done();
  static const std::function<void(int)> nobody = [](int) {};
  network.backward(part, observer.gradients_done ? observer.gradients_done : nobody);
}

}  // namespace lockstep
