#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "comm/collectives/communicator.h"
#include "models/registry.h"
#include "src/core/rng.h"
#include "src/graph/rewrites/rewrites.h"
#include "src/train/step/step.h"

namespace lockstep {

/// A rank that trains the small version of a model on random samples, without files.
class ModelRun {
 public:
  struct Result {
    std::vector<double> losses;
    uint64_t hash = 0;  ///< of the final weights
    bool operator==(const Result&) const = default;
  };

  ModelRun(Exec exec, const ModelEntry& model, const Batching& batching, int lanes,
           std::unique_ptr<Communicator> communicator)
      : exec_(exec),
        use_(model.small),
        batching_(batching),
        pool_(lanes),
        communicator_(std::move(communicator)),
        task_(exec, TrainOptions{},
              {use_.input.shape, use_.input.dtype, TargetKind::classes, use_.output.positions,
               use_.output.width}),
        graph_(rewrite(build_model({.name = model.name, .keys = use_.keys}, use_.input, use_.output, 7))),
        parameters_(exec, graph_),
        spec_{.name = "sgd", .lr = kLearningRate, .momentum = 0.9},
        optimizer_(exec, spec_, parameters_.layout().blocks, std::nullopt),
        step_({exec, pool_, *communicator_, task_, graph_, parameters_, optimizer_}, batching,
              {.bucket_bytes = 1024}) {
    parameters_.initialize(3);
  }

  /// Trains a step for each number: so many samples of its global batch are real, the others are padding.
  Result train(const std::vector<int64_t>& valid) {
    Result result;
    const auto collect = [&](const std::optional<StepMetrics>& metrics) {
      if (metrics) result.losses.push_back(metrics->loss);
    };
    for (const int64_t samples : valid) {
      load(samples);
      collect(step_.run(batch_, ++steps_done_, kLearningRate));
    }
    collect(step_.flush());
    result.hash = parameters_.weights_hash();
    return result;
  }

 private:
  static constexpr double kLearningRate = 0.01;

  void load(int64_t valid) {
    const int64_t rows = batching_.rank_batch(), first = communicator_->rank() * rows;
    const bool ids = use_.input.dtype == DType::i32;
    const int64_t inputs = use_.input.shape.elements(), targets = use_.output.positions.elements();
    const auto buffer = [&](int64_t bytes) {
      return Buffer(exec_, Memory::pinned, static_cast<size_t>(bytes));
    };
    x_ = buffer(rows * inputs * 4), y_ = buffer(rows * targets * 4), sample_index_ = buffer(rows * 8);
    const auto below = static_cast<uint32_t>(use_.output.width);
    for (int64_t row = 0; row < rows; ++row) {
      const int64_t sample = steps_done_ * 1000 + first + row;
      const bool is_real = first + row < valid;
      sample_index_.as<int64_t>()[static_cast<size_t>(row)] = is_real ? sample : -1;
      RandomStream random(77, static_cast<uint64_t>(sample));
      for (int64_t i = row * inputs; i < (row + 1) * inputs; ++i) {
        const auto at = static_cast<size_t>(i);
        if (ids)
          x_.as<int32_t>()[at] = is_real ? static_cast<int32_t>(random.next_below(below)) : 0;
        else
          x_.as<float>()[at] = is_real ? random.next_normal() : 0;
      }
      for (int64_t i = row * targets; i < (row + 1) * targets; ++i)
        y_.as<int32_t>()[static_cast<size_t>(i)] =
            is_real ? static_cast<int32_t>(random.next_below(below)) : 0;
    }
    batch_.global_valid = valid;
    batch_.x = Tensor(x_.data(), use_.input.dtype, use_.input.shape.batched(rows));
    batch_.y = Tensor(y_.data(), DType::i32, use_.output.positions.batched(rows));
    batch_.sample_index = Tensor(sample_index_.data(), DType::i64, {rows});
  }

  Exec exec_;
  ModelUse use_;
  Batching batching_;
  ThreadPool pool_;
  std::unique_ptr<Communicator> communicator_;
  Task task_;
  Graph graph_;
  Parameters parameters_;
  OptimizerSpec spec_;
  Optimizer optimizer_;
  Step step_;
  Buffer x_, y_, sample_index_;
  Batch batch_;
  int64_t steps_done_ = 0;
};

}  // namespace lockstep
