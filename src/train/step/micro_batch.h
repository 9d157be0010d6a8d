#pragma once

#include <functional>

#include "io/dataset/loader.h"
#include "src/device/copy_stream.h"
#include "src/graph/network.h"
#include "src/train/augment/augmenter.h"
#include "src/train/step/task.h"

namespace lockstep {

/// What kernels need to know about `rows` samples that start at position `first` of a batch with `real` real
/// samples. weight: of each real sample in the loss.
MicroBatchInfo micro_batch_info(int64_t first, int64_t rows, int64_t real, int64_t step, float weight);

/// Stored samples in the backend's memory, for one forward and backward pass.
struct MicroBatch {
  const MicroBatchInfo* info = nullptr;  ///< in the backend's memory
  ConstTensor x;                         ///< (rows, ...) as stored
  ConstTensor y;                         ///< (rows, ...); undefined if the batch has no targets
  ConstTensor sample_index;              ///< (rows) int64
  Augmenter::Part augmentation = {};     ///< for which its draws are loaded
};

/// The number of batches in the backend's memory at the same time: on a GPU, the next one is copied while a
/// step computes.
constexpr int input_sets(bool on_cuda) { return on_cuda ? 2 : 1; }

/// The stored samples of `count` micro-batches of `rows` each, at fixed addresses in the backend's memory, so
/// that a captured step reads new samples at each replay.
class MicroBatches {
 public:
  /// shares: uses the memory of these, which outlive it and whose samples are at least as large; the two take
  /// turns. Null: its own.
  MicroBatches(Exec exec, const Task& task, int64_t rows, int64_t count,
               const MicroBatches* shares = nullptr);

  /// Copies the rows of a batch from `first` on, as many as fit; in one copy, if it has a block and all of
  /// its rows fit. Enqueues: the batch must stay valid until the copy has run, and nothing that is still to
  /// run may use the samples that it replaces.
  void load(CopyStream& copies, const Batch& batch, int64_t first = 0) const;
  MicroBatch at(int64_t number, const MicroBatchInfo* info) const;

 private:
  /// Samples of one kind: x, y or their indices.
  struct Rows {
    DType dtype = DType::f32;
    Shape shape = {};   ///< of one micro-batch
    int64_t count = 0;  ///< of micro-batches
    std::byte* data = nullptr;

    size_t bytes() const;
    void load(CopyStream& copies, ConstTensor batch, int64_t first_row) const;
    ConstTensor at(int64_t number) const;
  };

  Rows x_, y_, sample_index_;
  size_t bytes_;  // of all three
  Buffer own_block_;
  std::byte* block_;
};

/// Functions to call while a micro-batch is enqueued; null: none.
struct MicroBatchObserver {
  std::function<void()> input_done = nullptr;                                ///< network.input()
  std::function<void(int node, ConstTensor output)> forward_done = nullptr;  ///< of one layer
  std::function<void()> loss_done = nullptr;               ///< loss and the gradients of network.outputs()
  std::function<void(int node)> gradients_done = nullptr;  ///< of one layer's parameters
};

// The computation of a micro-batch: preprocess, forward, loss, backward. Each function enqueues and does not
// wait.

/// Computes network.output().
void predict(const Task& task, Network& network, const MicroBatch& batch);

/// Also computes metrics (kLossMetrics): see src/ops/loss/loss.h.
void evaluate(const Task& task, Network& network, const MicroBatch& batch, Tensor metrics);

/// Also computes the gradients of the parameters, for a network in training. With several outputs, the loss
/// is the weighted sum of theirs. reduced: the buffer of metrics, sums and gradients, see ParameterLayout.
/// joint_sum: see Network::MicroBatch.
void train(const Task& task, Network& network, const MicroBatch& batch, std::span<float> reduced,
           const JointSum* joint_sum, const MicroBatchObserver& observer);

}  // namespace lockstep
