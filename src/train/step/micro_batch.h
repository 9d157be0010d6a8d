#pragma once

#include <functional>

#include "io/dataset/loader.h"
#include "src/graph/network.h"
#include "src/train/step/task.h"

namespace lockstep {

/// What kernels must know of `rows` samples that start at place `first` of a batch with so many real ones.
/// weight: of each real sample in the loss.
MicroBatchInfo micro_batch_info(int64_t first, int64_t rows, int64_t real, int64_t step, float weight);

/// Stored samples in the backend's memory that a network computes together.
struct MicroBatch {
  const MicroBatchInfo* info = nullptr;  ///< in the backend's memory
  ConstTensor x;                         ///< (rows, ...) as stored
  ConstTensor y;                         ///< (rows, ...); nothing useful where the batch has no targets
  ConstTensor sample_index;              ///< (rows) int64
};

/// The stored samples of `count` micro-batches of `rows` each, at fixed addresses in the backend's memory, so
/// that a captured step reads new samples at each replay.
class MicroBatches {
 public:
  MicroBatches(Exec exec, const Task& task, int64_t rows, int64_t count);

  /// The rows of a batch from `first` on, as many as fit. Enqueues: the batch must stay until it has run.
  void load(const Batch& batch, int64_t first = 0) const;
  MicroBatch at(int64_t number, const MicroBatchInfo* info) const;

 private:
  /// Samples of one kind: x, y or their indices.
  struct Rows {
    Rows(Exec exec, DType dtype, const Shape& shape, int64_t count);
    void load(Exec exec, ConstTensor batch, int64_t first_row) const;
    ConstTensor at(int64_t number) const;

    DType dtype;
    Shape shape;  ///< of one micro-batch
    Buffer buffer;
  };

  Exec exec_;
  Rows x_, y_, sample_index_;
};

/// Who looks on while a micro-batch is enqueued; null: nobody.
struct MicroBatchObserver {
  std::function<void()> input_done = nullptr;                                ///< network.input()
  std::function<void(int node, ConstTensor output)> forward_done = nullptr;  ///< of one layer
  std::function<void()> loss_done = nullptr;               ///< and the gradients of network.outputs()
  std::function<void(int node)> gradients_done = nullptr;  ///< of one layer's parameters
};

// The one recipe for a micro-batch: preprocess, forward, loss, backward. Each enqueues and does not wait.

/// network.output() = what the network answers.
void predict(const Task& task, Network& network, const MicroBatch& batch);

/// The same, and metrics (kLossMetrics): see src/ops/loss/loss.h.
void evaluate(const Task& task, Network& network, const MicroBatch& batch, Tensor metrics);

/// The same for a network in training, and the gradients of its parameters. Where it has several outputs, the
/// loss is the weighted sum of theirs.
/// reduced: of ParameterLayout; where metrics, sums and gradients go. joint_sum: see Network::MicroBatch.
void train(const Task& task, Network& network, const MicroBatch& batch, std::span<float> reduced,
           const JointSum* joint_sum, const MicroBatchObserver& observer);

}  // namespace lockstep
