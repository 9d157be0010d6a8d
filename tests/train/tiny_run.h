#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "comm/collectives/communicator.h"
#include "src/core/rng.h"
#include "src/graph/layers/layers.h"
#include "src/graph/rewrites/rewrites.h"
#include "src/train/checkpoint/snapshot.h"
#include "src/train/step/step.h"
#include "tests/support/backend.h"

namespace lockstep {

struct TinyOptions {
  int lanes = 1;
  double clip_norm = 0;
  bool capture = true;
  int64_t fingerprint_steps = 0;  ///< 0: nobody compares the ranks
  Wire gradients = Wire::fp32;
  bool sync_batch_norm = false;
  bool second_block = false;  ///< one more convolution, batch norm and ReLU
  std::string optimizer = "sgd";
  bool sharded = false;  ///< with a communicator of several ranks
  bool float_inputs = false;
  int32_t max_bad_steps = 1;
  TuningSpec tuning = {};
  Precision precision = Precision::fp32;
  bool scales_loss = false;
  double auxiliary = 0;  ///< the loss weight of a second head; 0: there is none
};

/// A rank that trains a small network on random bytes, without files. Without a communicator of their own,
/// statistics are summed on that of the gradients.
class TinyRun {
 public:
  TinyRun(Exec exec, const Batching& batching, const TinyOptions& options = {},
          std::unique_ptr<Communicator> communicator = make_self_communicator(),
          std::unique_ptr<Communicator> statistics = nullptr)
      : exec_(exec),
        batching_(batching),
        pool_(options.lanes),
        communicator_(std::move(communicator)),
        statistics_(std::move(statistics)),
        task_(exec, TrainOptions{}, signature(options.float_inputs ? DType::f32 : DType::u8)),
        graph_(rewrite(tuned(make_graph(options.second_block, options.auxiliary), options.tuning), {"none"},
                       options.precision)),
        parameters_(exec, graph_),
        sharding_(options.sharded
                      ? std::make_optional<Sharding>(exec, *communicator_, parameters_.layout(), kBucketBytes)
                      : std::nullopt),
        spec_(optimizer_spec(options)),
        optimizer_(exec, spec_, parameters_.layout().blocks,
                   sharding_ ? std::optional(sharding_->optimizer_share()) : std::nullopt),
        replicas_(make_replica_check(options.fingerprint_steps)),
        step_({exec, pool_, *communicator_, task_, graph_, parameters_, optimizer_,
               replicas_ ? &*replicas_ : nullptr,
               !options.sync_batch_norm ? nullptr
               : statistics_            ? statistics_.get()
                                        : communicator_.get(),
               sharding_ ? &*sharding_ : nullptr},
              batching,
              {.bucket_bytes = kBucketBytes,
               .gradients = options.gradients,
               .capture = options.capture,
               .max_bad_steps = options.max_bad_steps,
               .scales_loss = options.scales_loss}) {
    parameters_.initialize(3);
  }

  /// One rank's part of a global batch of which `valid` samples are real, in host memory of its own.
  struct HostBatch {
    Buffer x, y, sample_index;
    Batch batch;
  };
  HostBatch make_batch(int64_t step, int64_t valid, Memory memory = Memory::pinned) const {
    const int64_t rows = batching_.rank_batch(), first = communicator_->rank() * rows;
    const auto buffer = [&](int64_t bytes) { return Buffer(exec_, memory, static_cast<size_t>(bytes)); };
    const DType dtype = task_.x_dtype();
    HostBatch host{buffer(rows * kPixels * static_cast<int64_t>(size_of(dtype))),
                   buffer(rows * 4),
                   buffer(rows * 8),
                   {}};
    for (int64_t i = 0; i < rows; ++i) {
      const auto row = static_cast<size_t>(i);
      host.sample_index.as<int64_t>()[row] = -1;
      if (first + i >= valid) continue;
      const int64_t sample = step * 1000 + first + i;
      RandomStream random(77, static_cast<uint64_t>(sample));
      const uint32_t label = random.next_below(kClasses);
      host.y.as<int32_t>()[row] = static_cast<int32_t>(label);
      for (size_t pixel = row * kPixels; pixel < (row + 1) * kPixels; ++pixel) {
        const uint32_t value = random.next_below(64) + label * 60;
        if (dtype == DType::f32)
          host.x.as<float>()[pixel] = static_cast<float>(value) / 255;
        else
          host.x.as<uint8_t>()[pixel] = static_cast<uint8_t>(value);
      }
      host.sample_index.as<int64_t>()[row] = sample;
    }
    host.batch.global_valid = valid;
    host.batch.x = Tensor(host.x.data(), dtype, {rows, 6, 6, 1});
    host.batch.y = Tensor(host.y.data(), DType::i32, {rows});
    host.batch.sample_index = Tensor(host.sample_index.data(), DType::i64, {rows});
    return host;
  }

  /// Trains the next step on a batch, or waits for the newest step; returns what Step returns.
  std::optional<StepMetrics> run(const Batch& batch, const Requests& requests = {}) {
    std::optional<StepMetrics> last = step_.run(batch, ++steps_done_, 0.05, requests);
    poison_weights_out_of_date();
    return last;
  }
  std::optional<StepMetrics> flush() { return step_.flush(); }
  /// As if there had been a step that changed nothing.
  void leave_out_step() { ++steps_done_; }
  void resume(int32_t bad_in_a_row, const LossScale& scale) { step_.resume(bad_in_a_row, scale); }

  /// Trains steps on batches with so many real samples; returns their losses.
  std::vector<double> train(const std::vector<int64_t>& valid) {
    std::vector<double> losses;
    const auto collect = [&](const std::optional<StepMetrics>& metrics) {
      if (metrics) losses.push_back(metrics->loss);
    };
    for (const int64_t samples : valid) collect(run(make_batch(steps_done_, samples).batch));
    collect(flush());
    return losses;
  }
  std::vector<double> train(int steps, int64_t valid) {
    return train(std::vector<int64_t>(static_cast<size_t>(steps), valid));
  }

  std::vector<float> weights() const { return test::from_backend(exec_, parameters_.weights()); }
  std::vector<float> states() const { return test::from_backend(exec_, parameters_.states()); }
  const Parameters& parameters() const { return parameters_; }
  ReplicaCheck& replicas() { return *replicas_; }
  const Optimizer& optimizer() const { return optimizer_; }
  /// Collective when sharded.
  uint64_t hash() {
    if (sharding_) sharding_->gather_weights(parameters_);
    return parameters_.weights_hash();
  }

  /// Collective when sharded: the other ranks' are complete too. It owns its values.
  Checkpoint snapshot() {
    const std::optional<SharedState> shared = shared_state();
    Snapshot snapshot(exec_, parameters_, spec_.name, &optimizer_, sharding_.has_value());
    snapshot.take(shared ? &*shared : nullptr);
    snapshot.finish();
    Checkpoint checkpoint;
    snapshot.add_to(checkpoint);
    for (Checkpoint::Named& named : checkpoint.tensors) {
      const auto* bytes = static_cast<const std::byte*>(named.tensor.raw());
      checkpoint.storage.emplace_back(bytes, bytes + named.tensor.bytes());
      named.tensor = {checkpoint.storage.back().data(), named.tensor.dtype(), named.tensor.shape()};
    }
    checkpoint.integers["position"] = steps_done_;
    return checkpoint;
  }
  void restore(const Checkpoint& checkpoint) {
    const std::optional<SharedState> shared = shared_state();
    restore_model(checkpoint, "a snapshot", exec_, parameters_, spec_.name, &optimizer_,
                  shared ? &*shared : nullptr);
    steps_done_ = checkpoint.integers.at("position");
  }

 private:
  static constexpr int64_t kPixels = 36;
  static constexpr uint32_t kClasses = 3;
  static constexpr int64_t kBucketBytes = 256;

  static DataSignature signature(DType dtype) {
    return {{6, 6, 1}, dtype, TargetKind::classes, {}, kClasses};
  }
  static OptimizerSpec optimizer_spec(const TinyOptions& options) {
    const bool has_momentum = options.optimizer == "sgd" || options.optimizer == "lars";
    return {.name = options.optimizer,
            .lr = 0.05,
            .momentum = has_momentum ? 0.9 : 0.0,
            .weight_decay = options.optimizer == "sgd" ? 0 : 0.01,
            .clip_norm = options.clip_norm};
  }
  std::optional<SharedState> shared_state() {
    if (!sharding_) return std::nullopt;
    return SharedState{*sharding_, parameters_, step_.gradients()};
  }
  /// So that whoever reads weights that are out of date trains or saves NaN.
  void poison_weights_out_of_date() {
    if (parameters_.has_whole_weights()) return;
    std::vector<float> weights = this->weights(), poisoned = weights;
    const auto keep = [&](int64_t offset, int64_t size) {
      std::copy_n(weights.begin() + offset, size, poisoned.begin() + offset);
    };
    const ParameterLayout& layout = parameters_.layout();
    std::fill_n(poisoned.begin(), layout.trained_size, std::numeric_limits<float>::quiet_NaN());
    for (const OptimizerShare::Range& mine : sharding_->optimizer_share().ranges)
      keep(mine.offset, mine.size);
    for (const ParameterLayout::Slot& slot : layout.trained)
      if (slot.read_as_f32) keep(slot.offset, (slot.elements + kFlatBlock - 1) / kFlatBlock * kFlatBlock);
    test::to_backend(exec_, parameters_.weights(), poisoned);
  }
  std::optional<ReplicaCheck> make_replica_check(int64_t every_steps) const {
    if (every_steps == 0) return std::nullopt;
    return ReplicaCheck(
        exec_, replicated_tensors(parameters_, spec_.name, optimizer_, sharding_ ? &*sharding_ : nullptr),
        every_steps);
  }
  static Graph make_graph(bool second_block, double auxiliary) {
    Graph graph({6, 6, 1});
    graph.add("conv", layers::conv2d({.filters = 8}));
    graph.add("norm", layers::batch_norm({}));
    const int trunk = graph.add("relu", layers::relu());
    if (auxiliary > 0) {
      graph.add("auxiliary_pool", layers::max_pool2d());
      graph.add("auxiliary_flatten", layers::flatten());
      graph.add("auxiliary", layers::linear({.outputs = kClasses}));
      graph.set_loss_weight("auxiliary", auxiliary);
      graph.add("trunk", layers::tanh(), {trunk});
    }
    if (second_block) {
      graph.add("conv2", layers::conv2d({.filters = 6}));
      graph.add("norm2", layers::batch_norm({}));
      graph.add("relu2", layers::relu());
    }
    graph.add("flatten", layers::flatten());
    graph.add("dropout", layers::dropout({.rate = 0.2}));
    graph.add("dense", layers::linear({.outputs = kClasses}));
    return graph;
  }

  Exec exec_;
  Batching batching_;
  ThreadPool pool_;
  std::unique_ptr<Communicator> communicator_, statistics_;
  Task task_;
  Graph graph_;
  Parameters parameters_;
  std::optional<Sharding> sharding_;
  OptimizerSpec spec_;
  Optimizer optimizer_;
  std::optional<ReplicaCheck> replicas_;
  Step step_;
  int64_t steps_done_ = 0;
};

}  // namespace lockstep
