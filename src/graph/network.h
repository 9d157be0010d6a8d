#pragma once

#include <functional>
#include <span>
#include <vector>

#include "src/device/buffer.h"
#include "src/graph/graph.h"
#include "src/graph/parameters.h"
#include "src/graph/plan.h"

namespace lockstep {

/// What a network of this graph will need, without the memory itself.
Plan plan_network(Exec exec, const Graph& graph, int64_t micro_batch, bool training);

/// A graph that runs: its layers prepared for one size of micro-batch, its activations in one arena. Several
/// networks (one a CPU thread, one for evaluation) share one set of Parameters. Used by one thread at a time.
class Network {
 public:
  /// parameters outlive the network and have the layout of `graph`. shares: computes in the arena of this
  /// network, which outlives it, if that is large enough; the two take turns.
  Network(Exec exec, const Graph& graph, const Parameters& parameters, int64_t micro_batch, bool training,
          const Network* shares = nullptr);
  ~Network();
  Network(Network&&) noexcept;

  /// What one micro-batch brings, in the backend's memory.
  struct MicroBatch {
    const MicroBatchInfo* info = nullptr;
    ConstTensor sample_index;  ///< (micro_batch) int64
    /// Of the reduced buffer (ParameterLayout): where sums and gradients of this micro-batch go.
    std::span<float> reduced;
    /// With what batch norm takes its statistics over all micro-batches that are computed at the same time;
    /// null: over this one alone.
    const JointSum* joint_sum = nullptr;
    /// Called by forward() after it has enqueued each layer, with what that gives; null: nobody looks.
    const std::function<void(int node, ConstTensor output)>* forward_done = nullptr;
  };

  /// (micro_batch, ...) of the type of the graph's input: the caller fills it before forward().
  Tensor input() const { return input_; }
  /// The main output (micro_batch, outputs): valid until the gradient is written.
  Tensor output() const { return outputs_[0].values; }
  /// Gradient of the loss by the main output, of the activations' type: the caller fills it before
  /// backward(). If the types agree, it may have the memory of the output. Training only.
  Tensor output_gradient() const { return outputs_[0].gradient; }

  /// What the loss of a network in training is taken of.
  struct Output {
    Tensor values, gradient;  ///< like output() and output_gradient(); the caller fills each gradient
    float weight = 1;         ///< of its loss in the sum of all
  };
  /// In the order of Graph::outputs(). Where it is not in training, only the first has values.
  std::span<const Output> outputs() const { return outputs_; }
  /// Where the metrics of output k alone (kLossMetrics) go in a reduced buffer; empty when the main output is
  /// all there is, whose metrics are those of the step.
  Tensor output_metrics(size_t k, std::span<float> reduced) const;

  /// Enqueues; does not wait.
  void forward(const MicroBatch& batch);
  /// Calls node_done(i) after the gradients of layer i's parameters are enqueued, from the last layer to the
  /// first.
  void backward(const MicroBatch& batch, const std::function<void(int node)>& node_done);
  /// Folds the sums of a reduced buffer, added over the global batch, into the running statistics, unless a
  /// guard says that the step does not apply. Enqueues.
  void update_states(const MicroBatchInfo* info, std::span<float> reduced, const StepGuard* guard = nullptr);

  int64_t micro_batch() const { return micro_batch_; }
  /// Of memory that is its own.
  int64_t arena_bytes() const { return static_cast<int64_t>(own_arena_.size()); }

 private:
  struct Slice;
  struct Bound;
  struct Action;

  Tensor tensor_at(const Plan::Placement& placement, const Value& value) const;
  Action bind(const Plan::Step& step) const;
  void bind_parameters(const Parameters& parameters);
  LayerContext context_of(const Action& action, const MicroBatch& batch) const;
  void run_forward(const Action& action, const MicroBatch& batch);
  void run_backward(const Action& action, const MicroBatch& batch);

  Exec exec_;
  int64_t micro_batch_;
  bool training_;
  Graph graph_;
  Plan plan_;
  Buffer own_arena_;
  std::byte* arena_;
  Tensor input_;
  std::vector<Output> outputs_;
  int64_t output_metrics_offset_ = -1;  // in the reduced buffer
  std::vector<Bound> bound_;            // by layer
  std::vector<Action> actions_;         // the plan's steps without the loss
  size_t backward_begins_ = 0;          // in actions_
};

}  // namespace lockstep
