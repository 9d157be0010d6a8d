#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/device/buffer.h"
#include "src/graph/graph.h"
#include "src/ops/loss/loss.h"
#include "src/tensor/flat.h"

namespace lockstep {

/// The position of every parameter and running statistic of a graph in the flat buffers, in floats. It
/// depends only on the graph, not on batch sizes, backends or ranks.
///
/// Weights, gradients and optimizer state share one layout: parameters in the order in which backward
/// completes their gradients (last layer first), each padded to 256 bytes. The other sums of micro-batches
/// precede the gradients in the same buffer, because they are ready first and are part of the same
/// all-reduce:
///   reduced: [metrics | sums of running statistics | gradients]
/// Frozen weights and statistics follow the others, and are neither in the reduced buffer nor in the
/// optimizer's state.
struct ParameterLayout {
  struct Slot {
    std::string name;  ///< "conv1.weight"
    std::string key;   ///< "conv1/weight": determines the parameter's random numbers; its name in old files
    int node = 0;      ///< index of the layer in the graph; if several share it, of the first
    int index = 0;     ///< in Layer::parameters() or states()
    Shape shape;
    int64_t offset = 0;  ///< in the weights buffer, or in the states buffer
    int64_t elements = 0;
    bool frozen = false;                 ///< see tuned()
    bool read_as_f32 = false;            ///< a layer reads the fp32 values, even if there is a working copy
    bool channels_last_filter = false;   ///< see ParameterSpec
    std::vector<std::string> rows = {};  ///< "norm.running_mean", ...: see StateSpec::row_names
  };
  explicit ParameterLayout(const Graph& graph);

  std::vector<Slot> parameters;      ///< in the order in which the model defines them
  std::vector<ParameterSpec> specs;  ///< of the same parameters
  std::vector<Slot> trained;         ///< those that are not frozen
  /// For each layer: indices of its parameters, in the order of Layer::parameters().
  std::vector<std::vector<int>> parameters_of_node;
  std::vector<Slot> states;            ///< running statistics, in the order of definition
  std::vector<StateSpec> state_specs;  ///< of the same states
  int64_t weights_size = 0;            ///< floats, padding included
  int64_t trained_size = 0;            ///< of these, the part that is not frozen, which comes first
  int64_t states_size = 0;             ///< floats, padding included
  int64_t summed_states_size = 0;      ///< of these, the part that is not frozen, which comes first
  int64_t parameter_count = 0;         ///< without padding
  DType working_type = DType::f32;     ///< in which layers read weights, except for read_as_f32
  std::vector<FlatBlock> blocks;       ///< describes each block of the trained weights
  std::vector<int64_t> ready_ends;     ///< ends in `reduced`, in the order in which backward reaches them
  std::vector<int> node_of_ready_end;  ///< the layer whose backward completes that end
  int64_t weighted_outputs = 0;        ///< number of outputs if the loss is a weighted sum over them; else 0

  int64_t metrics_offset() const { return 0; }
  /// After the metrics of the loss (src/ops/loss/loss.h): the pieces of a fingerprint
  /// (src/ops/fingerprint.h).
  int64_t fingerprint_offset() const { return metrics_offset() + kLossMetrics; }
  /// Requests of the ranks (Requests): one float each.
  static constexpr int64_t kRequestFloats = 2;
  int64_t requests_offset() const;
  /// Metrics of the loss for each weighted output: kLossMetrics floats each.
  int64_t output_metrics_offset() const { return requests_offset() + kRequestFloats; }
  /// The verdict on the step (StepVerdict), after everything that is summed.
  int64_t verdict_offset() const { return output_metrics_offset() + weighted_outputs * kLossMetrics; }
  int64_t state_sums_offset() const;
  int64_t gradients_offset() const { return state_sums_offset() + summed_states_size; }
  int64_t reduced_size() const { return gradients_offset() + trained_size; }

 private:
  void place_states();
  void place_parameters(const Graph& graph);
};

/// The values of a model: fp32 master weights and running statistics, each in one allocation in the backend's
/// memory; and if activations are narrower, a working copy of the weights in their type, which layers read.
///
/// The master weights of a rank may be out of date in part: a sharded optimizer that has a working copy sends
/// the others only what layers read (Sharding::gather_update). Whoever needs all of them, such as a
/// checkpoint, first makes them whole (Sharding::gather_weights).
class Parameters {
 public:
  Parameters(Exec exec, const Graph& graph);

  const ParameterLayout& layout() const { return layout_; }
  std::span<float> weights() const { return weights_.as<float>().first(size_t(layout_.weights_size)); }
  std::span<float> trained_weights() const { return weights().first(size_t(layout_.trained_size)); }
  /// Whether all of weights() are up to date.
  bool has_whole_weights() const { return whole_weights_; }
  void set_whole_weights(bool whole) { whole_weights_ = whole; }
  /// As many elements as weights(), at the same positions, of layout().working_type; empty if that is f32.
  Tensor working_weights() const;
  std::span<float> states() const { return states_.as<float>().first(size_t(layout_.states_size)); }
  /// In f32, or in the type of the working copy.
  Tensor parameter(int i, DType type = DType::f32) const;
  Tensor state(int i) const;

  /// Brings the working copy up to date after a change of the weights, which must be whole. Enqueues.
  void update_working_weights() const;

  /// Initializes every parameter and state, identically on every rank. Waits.
  void initialize(uint64_t seed);

  /// XXH3-64 of the fp32 weights, which must be whole, in the order of definition, without padding. Waits for
  /// enqueued work.
  uint64_t weights_hash() const;

 private:
  Exec exec_;
  ParameterLayout layout_;
  Buffer weights_, working_, states_;
  bool whole_weights_ = true;
};

/// Parameters::weights_hash() of a copy of the weights in host memory.
uint64_t hash_weights(const std::vector<ParameterLayout::Slot>& parameters, std::span<const float> weights);

/// Converts a flat buffer in host memory to logical order (see below), in place.
void make_logical(const std::vector<ParameterLayout::Slot>& slots, std::span<float> host);

/// Converts between a flat buffer laid out like the weights and one host tensor per parameter in logical
/// order (filters (K, C, spatial...), everything else as stored), for weights and optimizer state in
/// checkpoints. Waits.
std::vector<std::vector<float>> to_logical(Exec exec, const std::vector<ParameterLayout::Slot>& slots,
                                           std::span<const float> flat);
void from_logical(Exec exec, const std::vector<ParameterLayout::Slot>& slots,
                  const std::vector<std::vector<float>>& tensors, std::span<float> flat);
Shape logical_shape(const ParameterLayout::Slot& slot);

}  // namespace lockstep
