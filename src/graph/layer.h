#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "src/device/exec.h"
#include "src/graph/value.h"
#include "src/ops/micro_batch.h"
#include "src/ops/step_guard.h"

namespace lockstep {

/// How a parameter starts. Uniform bounds and deviations follow the fan of the weight.
enum class Init {
  zeros,
  ones,
  glorot_uniform,  ///< Glorot and Bengio 2010, equation 16: the default of Keras
  glorot_normal,
  he_uniform,  ///< He et al. 2015: bound sqrt(6 / fan_in)
  he_normal,
  kaiming_torch,  ///< PyTorch's default for linear and convolution: bound 1 / sqrt(fan_in), biases too
};

/// The name of an initializer in a model file, and all of them.
std::string to_string(Init init);
const std::vector<Init>& initializers();

/// A trained tensor of a layer. Its full name is "LAYER.NAME".
struct ParameterSpec {
  std::string name;  ///< PyTorch's: "weight", "bias"
  Shape shape;       ///< as stored: (out, in), (K, R, S, C/groups), (C)
  Init init = Init::zeros;
  int64_t fan_in = 1, fan_out = 1;
  bool decay = true;  ///< weight decay applies (not to biases and norms)
  /// Read as float whatever the precision of the activations is: scales and shifts of norms, which cost
  /// little and lose what they are there for when rounded.
  bool keep_f32 = false;
  /// Stored channels-last, with any number of spatial axes: (K, spatial..., C). Files hold it in the order
  /// that PyTorch users know, (K, C, spatial...).
  bool channels_last_filter = false;
};

/// A tensor that training updates without a gradient: running statistics. Micro-batches contribute sums of
/// the same shape, which are added over the global batch like gradients; Layer::update_state folds them in.
struct StateSpec {
  std::string name;
  Shape shape;
  float initial = 0;                ///< of every element
  std::vector<float> initial_rows;  ///< if not empty: of each row along the first axis instead
  /// If not empty: PyTorch's names of the rows along the first axis, each of which is a tensor in files.
  std::vector<std::string> row_names = {};
};

/// What the plan must know of a layer to place its buffers.
struct LayerTraits {
  bool backward_reads_input = false;
  bool backward_reads_output = false;
  bool forward_in_place = false;    ///< output may share the memory of input 0
  bool applies_relu = false;        ///< forward can put a ReLU on its output (Preparation::relu)
  bool commutes_with_relu = false;  ///< relu(layer(x)) == layer(relu(x)), as for max pooling
  bool backward_in_place = false;   ///< gradient of input 0 may share the memory of the output's gradient
  /// Statistics are taken over the samples of a micro-batch, and a sample gives each so many values; 0: none.
  int64_t statistics_per_sample = 0;
  /// Where all parameters are frozen, backward is given no memory for their gradients and leaves them out;
  /// false: it is given memory that nobody reads.
  bool skips_frozen = false;
  bool reshape = false;  ///< output is input 0 under another shape: nothing runs, memory is shared
};

/// Replaces values, in the memory of the backend, by their sum over all micro-batches that are computed at
/// the same time, on other threads and ranks too. Every one of them makes the same calls in the same order.
/// Enqueues; on the CPU it waits for the others. Throws when one of them has failed.
using JointSum = std::function<void(std::span<float> values)>;

/// Everything a layer touches in one micro-batch. Tensors have the batch axis in front. Optional ones are
/// empty.
struct LayerContext {
  bool training = false;  ///< false for a layer that is frozen as a whole, also in backward
  const MicroBatchInfo* info = nullptr;
  ConstTensor sample_index;                 ///< (N) int64
  std::span<const ConstTensor> inputs;      ///< in backward only if backward_reads_input
  Tensor output;                            ///< in backward only if backward_reads_output
  std::span<const ConstTensor> parameters;  ///< in the order of Layer::parameters()
  std::span<const Tensor> states;           ///< in the order of Layer::states()
  std::span<const Tensor> state_sums;       ///< written by forward when training; like states
  std::span<const Tensor> saved;        ///< in the order of Layer::saved(), written by forward for backward
  Tensor workspace;                     ///< scratch, at least workspace_bytes()
  const JointSum* joint_sum = nullptr;  ///< training only; null: the micro-batch is on its own
  const StepGuard* guard = nullptr;     ///< update_state only; null: it always applies
  Tensor output_gradient;               ///< backward only; may be overwritten
  std::span<const Tensor> input_gradients;      ///< backward only; overwritten, empty where nobody reads it
  std::span<const Tensor> parameter_gradients;  ///< backward only; overwritten. See skips_frozen
};

/// One node of the graph: what it computes per sample (shapes without the batch axis), and how it runs for a
/// micro-batch. First infer(), then prepare() once, then forward() and backward() any number of times, by one
/// thread.
class Layer {
 public:
  virtual ~Layer() = default;

  /// "conv2d": the name of the layer's type in a model file.
  virtual std::string kind() const = 0;
  /// "32 filters 3x3, stride 1, ReLU": for people.
  virtual std::string describe() const = 0;
  /// A layer with the same options that is not prepared: each CPU thread and each batch size has its own.
  virtual std::unique_ptr<Layer> clone() const = 0;

  /// The output; remembers what it must know of the inputs. Throws Error(usage) that says what does not fit;
  /// the graph adds the layer's name.
  virtual Value infer(std::span<const Value> inputs) = 0;

  /// Valid after infer().
  virtual std::vector<ParameterSpec> parameters() const { return {}; }
  virtual std::vector<StateSpec> states() const { return {}; }
  virtual LayerTraits traits() const = 0;
  /// Multiply-adds count two; forward, for one sample. Backward costs 2x for layers with weights.
  virtual int64_t flops() const { return 0; }

  /// How a layer is to run.
  struct Preparation {
    Exec exec = {};
    int64_t samples = 0;               ///< of a micro-batch
    bool needs_input_gradient = true;  ///< false for layers that only the data feeds
    /// forward puts a ReLU on its output; backward then gets the gradient in front of it. Only where
    /// LayerTraits::applies_relu.
    bool relu = false;
  };
  /// Plans the operations.
  virtual void prepare(const Preparation& preparation) = 0;
  /// Tensors that forward leaves for backward besides input and output. Valid after prepare(); with batch
  /// axes.
  virtual std::vector<Value> saved() const { return {}; }
  virtual size_t workspace_bytes() const { return 0; }

  /// Enqueues; does not wait.
  virtual void forward(const LayerContext& context) = 0;
  virtual void backward(const LayerContext& context) = 0;
  /// states from state_sums that were added over the global batch, if the guard lets it. Enqueues.
  virtual void update_state(const LayerContext&) {}
};

}  // namespace lockstep
