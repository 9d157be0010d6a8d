#pragma once

#include <memory>
#include <string>
#include <vector>

#include "src/graph/layer.h"

namespace lockstep {

/// A static network: layers in topological order, shapes known per sample. Value 0 is the input; layer i
/// makes value i + 1; the last value is the output.
class Graph {
 public:
  struct Node {
    std::string name;  ///< unique; parameters are called "NAME/weight"
    std::unique_ptr<Layer> layer;
    std::vector<int> inputs;  ///< values
    Shape output;             ///< of one sample
  };

  /// input: the shape of one sample as the network sees it, channels-last.
  explicit Graph(const Shape& input);
  Graph(Graph&&) noexcept = default;
  Graph& operator=(Graph&&) noexcept = default;
  Graph clone() const;

  /// Appends a layer that reads these values (by default the newest) and returns its value. Throws
  /// Error(usage) naming the layer when the shapes do not fit or the name is taken.
  int add(const std::string& name, std::unique_ptr<Layer> layer);
  int add(const std::string& name, std::unique_ptr<Layer> layer, std::vector<int> inputs);

  const std::vector<Node>& nodes() const { return nodes_; }
  std::vector<Node>& nodes() { return nodes_; }
  int output() const { return static_cast<int>(nodes_.size()); }
  /// Of one sample; value 0 is the input.
  const Shape& shape(int value) const;
  /// How many layers read a value; the output counts as read once.
  int readers(int value) const;

 private:
  Shape input_;
  std::vector<Node> nodes_;
};

/// The same network with fewer passes over memory: a ReLU is folded into the convolution or linear layer
/// before it, and moved behind a max pooling, where there is less to do. Parameters keep their names and
/// values.
Graph fuse(Graph graph);

/// The value of a parameter before training: a function of (seed, its full name), whatever else the model
/// holds. values: shape.elements() floats on the host.
void initialize_parameter(const ParameterSpec& spec, const std::string& full_name, uint64_t seed,
                          float* values);

/// The value of a state before training. values: shape.elements() floats on the host.
void initialize_state(const StateSpec& spec, float* values);

}  // namespace lockstep
