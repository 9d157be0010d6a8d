#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "src/device/exec.h"
#include "src/graph/value.h"
#include "src/ops/micro_batch.h"
#include "src/ops/pointwise/activation.h"
#include "src/ops/step_guard.h"

namespace lockstep {

/// Initialization of a parameter. Uniform bounds and standard deviations depend on the fan of the weight.
enum class Init {
  zeros,
  ones,
  glorot_uniform,  ///< Glorot and Bengio 2010, equation 16: the default of Keras
  glorot_normal,
  he_uniform,  ///< He et al. 2015: bound sqrt(6 / fan_in)
  he_normal,
  he_normal_out,  ///< with fan_out instead of fan_in: the convolutions of most torchvision models
  kaiming_torch,  ///< PyTorch's default for linear and convolution: bound 1 / sqrt(fan_in), biases too
  normal,         ///< mean 0, standard deviation ParameterSpec::deviation: PyTorch's default for embeddings
  lecun_normal,   ///< LeCun et al. 1998, section 4.6: standard deviation 1 / sqrt(fan_in)
  /// Of positions (rows) and channels (last axis): sine and cosine in turn, of wavelengths from 2 pi to 20000
  /// pi (Vaswani et al. 2017, section 3.5)
  sinusoidal,
};

/// The name of an initializer in a model file, and the list of all initializers.
std::string to_string(Init init);
const std::vector<Init>& initializers();

/// The type in which a layer reads a parameter.
enum class ReadAs {
  activations,  ///< that of the activations
  output,       ///< that of the layer's output
  f32,          ///< scales and shifts of norms, which are small and sensitive to rounding
};

/// A trained tensor of a layer. Its full name is "LAYER.NAME".
struct ParameterSpec {
  std::string name;  ///< PyTorch's: "weight", "bias"
  Shape shape;       ///< as stored: (out, in), (K, R, S, C/groups), (C)
  Init init = Init::zeros;
  int64_t fan_in = 1, fan_out = 1;
  bool decay = true;  ///< whether weight decay applies (not to biases and norms)
  ReadAs read_as = ReadAs::activations;
  /// Stored channels-last, with any number of spatial axes: (K, spatial..., C). Files store it in PyTorch's
  /// order, (K, C, spatial...).
  bool channels_last_filter = false;
  double deviation = 1;  ///< of Init::normal
};

/// A tensor that training updates without a gradient: running statistics. Micro-batches produce sums of the
/// same shape, which are summed over the global batch like gradients and applied by Layer::update_state.
struct StateSpec {
  std::string name;
  Shape shape;
  float initial = 0;                ///< of every element
  std::vector<float> initial_rows;  ///< if not empty: of each row along the first axis
  /// If not empty: PyTorch's names of the rows along the first axis, each of which is a tensor in files.
  std::vector<std::string> row_names = {};
};

/// Properties of a layer that the plan needs to place its buffers.
struct LayerTraits {
  bool backward_reads_input = false;
  bool backward_reads_output = false;
  bool forward_in_place = false;   ///< output may share the memory of input 0
  bool applies_sum = false;        ///< forward can add a value like its output (Preparation::adds)
  bool applies_relu = false;       ///< forward can apply a ReLU to its output (Preparation::activation)
  bool recovers_relu = false;      ///< backward through a ReLU does not read the output, if nothing was added
  bool applies_gelu = false;       ///< likewise a GELU of either form, for which it saves what backward reads
  bool is_maximum = false;         ///< of elements of a channel: ReLUs and biases may as well be behind it
  bool backward_in_place = false;  ///< gradient of input 0 may share the memory of the output's gradient
  bool adds_to_gradient = false;   ///< backward can add to that of input 0 (Preparation::adds_to_gradient)
  /// forward can add up its output, which is not added to and has no activation, for a batch norm that reads
  /// it (Preparation::sums), and that can use it.
  bool gives_sums = false, takes_sums = false;
  /// Values per sample of each statistic that the layer takes over a micro-batch; 0: no statistics.
  int64_t statistics_per_sample = 0;
  /// If all parameters are frozen, backward gets no memory for their gradients and omits them; false: it gets
  /// memory that is not read.
  bool skips_frozen = false;
  bool reshape = false;      ///< output is input 0 with another shape: shares its memory, and nothing runs
  bool takes_first = false;  ///< output is the first channels of input 0
  std::optional<Activation> activation = {};  ///< the layer is this function of each element
  bool writes_f32 = false;  ///< forward can write f32 when activations are narrower (Preparation::output)
};

/// Replaces values, in the memory of the backend, by their sum over all micro-batches that are computed at
/// the same time, including those on other threads and ranks. All of them must make the same calls in the
/// same order. Enqueues; on the CPU it waits for the others. Throws if one of them has failed.
using JointSum = std::function<void(std::span<float> values)>;

/// The tensors of a layer for one micro-batch. The batch axis comes first. Optional tensors may be empty.
struct LayerContext {
  bool training = false;  ///< false for a layer that is completely frozen, also in backward
  const MicroBatchInfo* info = nullptr;
  ConstTensor sample_index;             ///< (N) int64
  std::span<const ConstTensor> inputs;  ///< in backward only if backward_reads_input
  ConstTensor added;                    ///< forward only, and only if it adds
  /// forward only: (2, C) float, over samples and positions, padding included, of each channel and of its
  /// square. Of the output, written by a layer that gives_sums(); of inputs[0], if that has been summed up.
  Tensor output_sums;
  ConstTensor input_sums;
  Tensor output;                            ///< in backward only if Graph::Node::backward_reads_output()
  std::span<const ConstTensor> parameters;  ///< in the order of Layer::parameters()
  std::span<const Tensor> states;           ///< in the order of Layer::states()
  std::span<const Tensor> state_sums;       ///< written by forward when training; like states
  std::span<const Tensor> saved;        ///< in the order of Layer::saved(), written by forward for backward
  Tensor workspace;                     ///< scratch, at least workspace_bytes()
  const JointSum* joint_sum = nullptr;  ///< training only; null: statistics of this micro-batch alone
  const StepGuard* guard = nullptr;     ///< update_state only; null: always update
  Tensor output_gradient;               ///< backward only; may be overwritten
  /// Backward only; overwritten, but for Preparation::adds_to_gradient; empty if not needed.
  std::span<const Tensor> input_gradients;
  /// Backward only, if it adds: that of what was added. Empty if not needed. Often the memory of
  /// output_gradient, which then is not that of an input's gradient.
  Tensor added_gradient;
  std::span<const Tensor> parameter_gradients;  ///< backward only; overwritten. See skips_frozen
};

/// One node of the graph: what it computes per sample (shapes without the batch axis), and how it runs for a
/// micro-batch. Call infer(), then prepare() once, then forward() and backward() any number of times, from
/// one thread.
class Layer {
 public:
  virtual ~Layer() = default;

  /// "conv2d": the name of the layer's type in a model file.
  virtual std::string kind() const = 0;
  /// "32 filters 3x3, stride 1, ReLU", for messages.
  virtual std::string describe() const = 0;
  /// An unprepared layer with the same options. Each CPU thread and each batch size needs its own.
  virtual std::unique_ptr<Layer> clone() const = 0;

  /// Returns the output and stores what it needs to know about the inputs. Throws Error(usage) if something
  /// does not fit; the graph adds the layer's name to the message.
  virtual Value infer(std::span<const Value> inputs) = 0;

  /// Valid after infer().
  virtual std::vector<ParameterSpec> parameters() const { return {}; }
  virtual std::vector<StateSpec> states() const { return {}; }
  virtual LayerTraits traits() const = 0;
  /// Of forward, for one sample: the multiply-adds of convolutions and matrix products, each counted as two.
  /// Everything else counts as zero, as in the literature (He et al. 2016, table 1, which counts a
  /// multiply-add as one). Each gradient that backward computes costs as much as forward.
  virtual int64_t flops() const { return 0; }

  /// How a layer will run.
  struct Preparation {
    Exec exec = {};
    int64_t samples = 0;               ///< of a micro-batch
    bool needs_input_gradient = true;  ///< false for layers whose only input is the data
    /// forward adds LayerContext::added to its output, and applies an activation to that. Only with the
    /// traits applies_sum, applies_relu and applies_gelu.
    bool adds = false;
    std::optional<Activation> activation = {};
    /// backward adds the gradient of input 0 to what a later layer has left there. Only with the trait.
    bool adds_to_gradient = false;
    /// Wanted: LayerContext::output_sums. Only with the trait.
    bool sums = false;
    DType type = DType::f32;    ///< of inputs and gradients that are numbers
    DType output = DType::f32;  ///< of the output, if it is numbers
    bool tf32 = false;          ///< see Precision
  };
  /// Prepares the operations.
  virtual void prepare(const Preparation& preparation) = 0;
  /// Tensors that forward stores for backward, besides input and output, with batch axes. Valid after
  /// prepare().
  virtual std::vector<Value> saved() const { return {}; }
  virtual size_t workspace_bytes() const { return 0; }
  /// Whether forward writes output_sums. Valid after prepare().
  virtual bool gives_sums() const { return false; }

  /// Enqueues; does not wait.
  virtual void forward(const LayerContext& context) = 0;
  virtual void backward(const LayerContext& context) = 0;
  /// An inferred layer without its bias, and the layer that adds that, with its parameter.
  struct WithoutBias {
    std::unique_ptr<Layer> layer, bias;
  };
  /// Nulls if it has no bias, or adds it for nothing.
  virtual WithoutBias without_bias() const { return {}; }

  /// Updates states from state_sums, summed over the global batch, unless the guard prevents it. Enqueues.
  virtual void update_state(const LayerContext&) {}
};

}  // namespace lockstep
