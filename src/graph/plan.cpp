#include "src/graph/plan.h"

#include <algorithm>
#include <numeric>

namespace lockstep {

namespace {

constexpr int64_t kAlignment = 256;

int64_t aligned(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

/// The tensors of a plan while their lifetimes are still being found out; users refer to them by number.
class Tensors {
 public:
  int create(int64_t bytes, int moment) {
    intervals_.push_back({moment, moment, bytes});
    return static_cast<int>(intervals_.size()) - 1;
  }
  void use(int tensor, int moment) {
    Interval& interval = intervals_[static_cast<size_t>(tensor)];
    interval.first = std::min(interval.first, moment);
    interval.last = std::max(interval.last, moment);
  }
  const Interval& operator[](int tensor) const { return intervals_[static_cast<size_t>(tensor)]; }
  const std::vector<Interval>& intervals() const { return intervals_; }

 private:
  std::vector<Interval> intervals_;
};

}  // namespace

std::vector<int64_t> place_intervals(const std::vector<Interval>& intervals, int64_t& total) {
  std::vector<size_t> order(intervals.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return intervals[a].bytes > intervals[b].bytes; });
  std::vector<int64_t> offsets(intervals.size(), 0);
  std::vector<size_t> placed;  // by offset
  total = 0;
  for (const size_t i : order) {
    int64_t offset = 0;
    const int64_t bytes = aligned(intervals[i].bytes);
    for (const size_t other : placed) {
      const bool together =
          intervals[other].first <= intervals[i].last && intervals[i].first <= intervals[other].last;
      if (!together) continue;
      if (offset + bytes <= offsets[other]) break;
      offset = std::max(offset, offsets[other] + aligned(intervals[other].bytes));
    }
    offsets[i] = offset;
    total = std::max(total, offset + bytes);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), i,
                                   [&](size_t a, size_t b) { return offsets[a] < offsets[b]; }),
                  i);
  }
  return offsets;
}

std::vector<bool> values_with_gradient(const Graph& graph) {
  std::vector<bool> needs(graph.nodes().size() + 1, false);
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    const Graph::Node& node = graph.nodes()[i];
    bool need = !node.layer->parameters().empty();
    for (const int input : node.inputs) need = need || needs[static_cast<size_t>(input)];
    needs[i + 1] = need;
  }
  return needs;
}

Plan::Plan(const Graph& graph, int64_t n, bool training) : nodes_(graph.nodes().size()) {
  const int layers = static_cast<int>(graph.nodes().size());
  const int loss = layers;
  const auto backward_of = [layers](int node) { return 2 * layers - node; };
  const std::vector<bool> needs_gradient = values_with_gradient(graph);
  const auto traits_of = [&](int node) { return graph.nodes()[static_cast<size_t>(node)].layer->traits(); };
  const auto value_bytes = [&](int v) {
    return n * graph.shape(v).elements() * static_cast<int64_t>(sizeof(float));
  };

  // When each value is last needed, if it had memory of its own.
  std::vector<int> last_use(static_cast<size_t>(layers) + 1);
  last_use[static_cast<size_t>(layers)] = loss;
  for (int i = 0; i < layers; ++i) {
    const LayerTraits traits = traits_of(i);
    const bool backward = training && needs_gradient[static_cast<size_t>(i) + 1];
    int& output = last_use[static_cast<size_t>(i) + 1];
    output = std::max(output, i);
    if (backward && traits.backward_reads_output) output = std::max(output, backward_of(i));
    for (const int input : graph.nodes()[static_cast<size_t>(i)].inputs) {
      int& last = last_use[static_cast<size_t>(input)];
      last = std::max(last, backward && traits.backward_reads_input ? backward_of(i) : i);
    }
  }

  Tensors tensors;
  std::vector<int> value_tensor(static_cast<size_t>(layers) + 1);
  value_tensor[0] = tensors.create(value_bytes(0), -1);
  tensors.use(value_tensor[0], last_use[0]);
  for (int i = 0; i < layers; ++i) {
    const Graph::Node& node = graph.nodes()[static_cast<size_t>(i)];
    const LayerTraits traits = traits_of(i);
    const int input = value_tensor[static_cast<size_t>(node.inputs[0])];
    // Writing over the input is safe when the tensor's last user of all is this very layer.
    const bool in_place = traits.forward_in_place && tensors[input].last == i;
    int& tensor = value_tensor[static_cast<size_t>(i) + 1];
    tensor = traits.reshape || in_place ? input : tensors.create(value_bytes(i + 1), i);
    tensors.use(tensor, last_use[static_cast<size_t>(i) + 1]);
    nodes_[static_cast<size_t>(i)].runs_forward = !traits.reshape;
  }

  struct Pending {
    Placement* where;
    int tensor;
  };
  std::vector<Pending> pending;
  for (int i = 0; i < layers; ++i) {
    const Layer& layer = *graph.nodes()[static_cast<size_t>(i)].layer;
    NodePlan& node = nodes_[static_cast<size_t>(i)];
    node.runs_backward = training && needs_gradient[static_cast<size_t>(i) + 1];
    const std::vector<Layer::Saved> saved = layer.saved();
    node.saved.resize(saved.size());
    for (size_t s = 0; s < saved.size(); ++s) {
      const int64_t bytes = saved[s].shape.elements() * static_cast<int64_t>(size_of(saved[s].dtype));
      const int tensor = tensors.create(bytes, i);
      if (node.runs_backward) tensors.use(tensor, backward_of(i));
      pending.push_back({&node.saved[s], tensor});
    }
  }

  // Gradients, in the order in which backward meets them.
  std::vector<int> gradient_tensor(static_cast<size_t>(layers) + 1, -1);
  if (training && needs_gradient[static_cast<size_t>(layers)]) {
    gradient_tensor[static_cast<size_t>(layers)] = tensors.create(value_bytes(layers), loss);
    for (int i = layers - 1; i >= 0; --i) {
      const Graph::Node& node = graph.nodes()[static_cast<size_t>(i)];
      NodePlan& plan = nodes_[static_cast<size_t>(i)];
      plan.input_gradients.resize(node.inputs.size());
      if (!plan.runs_backward) continue;
      const int output_gradient = gradient_tensor[static_cast<size_t>(i) + 1];
      INVARIANT(output_gradient >= 0, "nobody reads the output of layer {}", node.name);
      tensors.use(output_gradient, backward_of(i));
      const LayerTraits traits = traits_of(i);
      for (size_t k = 0; k < node.inputs.size(); ++k) {
        const int v = node.inputs[k];
        NodePlan::InputGradient& gradient = plan.input_gradients[k];
        if (!needs_gradient[static_cast<size_t>(v)]) continue;
        gradient.wanted = plan.needs_input_gradient = true;
        int& tensor = gradient_tensor[static_cast<size_t>(v)];
        const bool shares = k == 0 && (traits.backward_in_place || traits.reshape);
        if (tensor < 0) {
          tensor = shares ? output_gradient : tensors.create(value_bytes(v), backward_of(i));
        } else {
          gradient.accumulate = true;
          pending.push_back({&gradient.scratch, tensors.create(value_bytes(v), backward_of(i))});
        }
        tensors.use(tensor, backward_of(i));
      }
    }
  }

  // Scratch memory lives for one moment only.
  for (int i = 0; i < layers; ++i) {
    NodePlan& node = nodes_[static_cast<size_t>(i)];
    const auto bytes = static_cast<int64_t>(graph.nodes()[static_cast<size_t>(i)].layer->workspace_bytes());
    if (bytes == 0) continue;
    pending.push_back({&node.forward_workspace, tensors.create(bytes, i)});
    if (node.runs_backward)
      pending.push_back({&node.backward_workspace, tensors.create(bytes, backward_of(i))});
  }

  const std::vector<int64_t> offsets = place_intervals(tensors.intervals(), arena_bytes_);
  const auto placement = [&](int tensor) {
    return tensor < 0 ? Placement{} : Placement{offsets[static_cast<size_t>(tensor)], tensors[tensor].bytes};
  };
  for (const int tensor : value_tensor) values_.push_back(placement(tensor));
  for (const int tensor : gradient_tensor) gradients_.push_back(placement(tensor));
  for (const Pending& p : pending) *p.where = placement(p.tensor);
  for (const Interval& interval : tensors.intervals()) unshared_bytes_ += aligned(interval.bytes);
}

}  // namespace lockstep
