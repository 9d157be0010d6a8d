#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "src/graph/layers/description.h"
#include "src/tensor/precision.h"

namespace lockstep {

/// How training treats a parameter: see tuned().
struct Tuning {
  bool frozen = false;  ///< training does not change it
  double lr_scale = 1;  ///< factor on the learning rate
};

/// A static network: layers in topological order, with values described per sample. Value 0 is the input;
/// layer i produces value i + 1; the last value is the main output. In training there may be other outputs.
/// Layers infer shapes, and whether a value consists of numbers or of token ids; the graph's precision says
/// of which type numbers are.
class Graph {
 public:
  struct Node {
    std::string name;  ///< unique; parameters are called "NAME.weight"
    std::unique_ptr<Layer> layer;
    std::vector<int> inputs;  ///< values
    Value output;             ///< of one sample
    bool adds = false;        ///< the last of its inputs is added to the layer's output: see fuse()
    std::optional<Activation> activation = {};  ///< applied to that
    int parameters_of = -1;                     ///< earlier layer whose parameters of the same names it uses
    /// The layer from which a rewrite has taken its parameters, and after which they are named; "": itself.
    std::string taken_from = {};
    /// Consecutive layers of one segment recompute their activations for backward; -1: activations are kept.
    /// See recompute().
    int segment = -1;
    std::map<std::string, Tuning> tuning = {};  ///< of its own parameters, by name; others have the default
    double loss_weight = 0;        ///< weight of its output's loss: see set_loss_weight(); 0: no output
    std::string output_name = {};  ///< of an output: the layer's name before rewrites; "": the same
    bool sums = false;             ///< a batch norm can use sums over its output: see sum_up()
    bool writes_f32 = false;       ///< its output is f32 whatever the precision: see in_precision()

    /// The inputs that the layer knows of: without what is added.
    std::span<const int> layer_inputs() const { return {inputs.data(), inputs.size() - (adds ? 1 : 0)}; }
    /// What its parameters and states are named after.
    const std::string& owner() const { return taken_from.empty() ? name : taken_from; }
    /// Whether backward reads the output, for the layer or for the ReLU that it applies.
    bool backward_reads_output() const;
  };

  /// input: one sample as the network sees it, channels-last. seed: run.seed, for layers with random numbers.
  explicit Graph(const Value& input, uint64_t seed = 0, Precision precision = Precision::fp32);
  explicit Graph(const Shape& input, uint64_t seed = 0) : Graph(Value{DType::f32, input}, seed) {}
  Graph(Graph&&) noexcept = default;
  Graph& operator=(Graph&&) noexcept = default;
  Graph clone() const;

  /// Appends a layer that reads these values (by default the newest) and returns its value. Throws
  /// Error(usage) naming the layer if an option is out of range, the shapes do not fit, or the name is taken.
  int add(const std::string& name, const NewLayer& layer);
  int add(const std::string& name, const NewLayer& layer, std::vector<int> inputs);
  /// Appends a copy of a layer of another graph.
  int add(Node node);

  /// Makes a layer use the parameters of an earlier layer instead of its own ones of the same names: one
  /// parameter with two readers, whose gradient is the sum of both (weight tying: Press and Wolf 2017).
  /// Throws Error(usage) if there is no such layer or parameter, or if shapes differ.
  void share_parameters(const std::string& name, const std::string& owner);

  /// An output of the network, in training.
  struct Output {
    std::string name;
    int value = 0;
    double weight = 1;  ///< of its loss in the total
  };
  /// Makes a layer's output an output of the network: in training it is compared with the targets too, and
  /// its loss times the weight is added to the others (the auxiliary heads of Szegedy et al. 2015). The last
  /// layer is always the main output, whose weight is 1 unless set here. Throws Error(usage) unless the
  /// weight is a positive number.
  void set_loss_weight(const std::string& layer, double weight);
  /// The main output, then the auxiliary ones in the order of their layers.
  std::vector<Output> outputs() const;
  /// Whether any weight has been set, so that the loss is a weighted sum.
  bool has_loss_weights() const;

  const std::vector<Node>& nodes() const { return nodes_; }
  std::vector<Node>& nodes() { return nodes_; }
  /// The main output.
  int output() const { return static_cast<int>(nodes_.size()); }
  bool is_output(int value) const;
  /// The description of a value for one sample; value 0 is the input.
  const Value& value(int number) const;
  const Shape& shape(int number) const { return value(number).shape; }
  /// Number of layers that read a value, plus 1 if it is an output.
  int readers(int value) const;
  /// The index of the layer with this name, or -1.
  int find(const std::string& name) const;
  /// The layer that holds a parameter of a layer: the layer itself, or the one whose parameters it uses.
  int holder(int node, const std::string& parameter) const;
  /// The type in which a layer reads one of its parameters: f32, or that of the activations.
  DType read_type(int node, const ParameterSpec& parameter) const;
  /// How training treats a parameter of a layer, wherever it is held.
  Tuning tuning(int node, const std::string& parameter) const;
  /// Whether a layer has parameters and all of them are frozen; its running statistics then are, too.
  bool frozen(int node) const;
  uint64_t seed() const { return seed_; }
  Precision precision() const { return precision_; }
  /// The gradient of a value, for one sample.
  Value gradient(int value) const { return {activation_type(precision_), shape(value)}; }

 private:
  Value input_;
  uint64_t seed_;
  Precision precision_;
  std::vector<Node> nodes_;
};

/// The initial value of a parameter, which depends only on (seed, key), not on the rest of the model. key:
/// "LAYER/NAME". values: shape.elements() floats on the host.
void initialize_parameter(const ParameterSpec& spec, const std::string& key, uint64_t seed, float* values);

/// The initial value of a state. values: shape.elements() floats on the host.
void initialize_state(const StateSpec& spec, float* values);

}  // namespace lockstep
