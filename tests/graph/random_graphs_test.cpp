// Any graph gives the same numbers in one planned arena as with memory of its own for every tensor.
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "src/graph/layers/layers.h"
#include "src/graph/network.h"
#include "src/graph/rewrites/rewrites.h"
#include "tests/graph/graph_runner.h"

namespace lockstep {
namespace {

using test::from_backend, test::Guarded, test::OnBackend, test::to_backend;

constexpr int64_t kRows = 3;

/// Grows a graph by layers that read any earlier value, the newest with preference, and then adds up all that
/// nobody has read yet.
class RandomGraph {
 public:
  explicit RandomGraph(uint64_t id) : random_(31, id), graph_({4, 4, 2}, 3), has_outputs_(id % 2 == 1) {}

  Graph make() {
    const uint32_t layers = 2 + random_.next_below(12);
    for (uint32_t i = 0; i < layers; ++i) grow();
    // Any value may be an auxiliary output, read by others or not.
    for (size_t i = 0; has_outputs_ && i < graph_.nodes().size(); ++i)
      if (random_.next_below(4) == 0) graph_.set_loss_weight(graph_.nodes()[i].name, 0.5);
    std::vector<int> loose;
    for (int v = 0; v <= graph_.output(); ++v)
      if (graph_.readers(v) == (v == graph_.output() ? 1 : 0)) loose.push_back(v);
    int sum = to_outputs(loose.front());
    for (size_t i = 1; i < loose.size(); ++i) sum = add(layers::add(), {sum, to_outputs(loose[i])});
    if (sum != graph_.output()) add(layers::tanh(), {sum});
    return std::move(graph_);
  }

 private:
  int add(const NewLayer& layer, std::vector<int> inputs) {
    return graph_.add(fmt::format("layer{}", graph_.nodes().size()), layer, std::move(inputs));
  }

  int to_outputs(int value) {
    if (graph_.shape(value).rank() == 3) value = add(layers::flatten(), {value});
    return add(layers::linear({.outputs = 4, .bias = random_.next_below(2) == 0}), {value});
  }

  int any_value() {
    if (random_.next_below(2) == 0) return graph_.output();
    return static_cast<int>(random_.next_below(static_cast<uint32_t>(graph_.output()) + 1));
  }

  void grow() {
    const int value = any_value();
    const Shape shape = graph_.shape(value);
    const bool image = shape.rank() == 3;
    switch (random_.next_below(10)) {
      case 0:
        add(activation_kinds()[random_.next_below(static_cast<uint32_t>(activation_kinds().size()))].with({}),
            {value});
        break;
      case 1:
        add(layers::dropout({.rate = 0.25}), {value});
        break;
      case 2:
        add(layers::flatten(), {value});
        break;
      case 3:
        add(layers::batch_norm({}), {value});
        break;
      case 4:
        add(layers::bias(), {value});
        break;
      case 5:  // the sum of two values of one shape, perhaps of a value and itself
        for (int other = any_value(), tries = 0; tries <= graph_.output(); ++tries, other = any_value()) {
          if (!(graph_.shape(other) == shape)) continue;
          add(layers::add(), {value, other});
          return;
        }
        break;
      case 6:
        if (image)
          add(layers::conv2d({.filters = 2, .padding = {1, 1}, .bias = random_.next_below(2) == 0}), {value});
        else
          add(layers::linear({.outputs = shape[0]}), {value});
        break;
      case 7:
        if (image) {
          const bool fits = shape[0] >= 2 && shape[1] >= 2;
          if (fits)
            add(random_.next_below(2) == 0 ? layers::max_pool2d({}) : layers::average_pool2d({}), {value});
        } else {
          add(layers::linear({.outputs = 5}), {value});
        }
        break;
      case 8:  // cuBLASLt applies a GELU where 8 divides both extents
        add(layers::linear({.outputs = 8}), {value});
        add(layers::gelu({.approximate = random_.next_below(2) == 0}), {graph_.output()});
        break;
      case 9:  // a branch with dropout, and its shortcut
        add(layers::tanh(), {value});
        add(layers::dropout({.rate = 0.25}), {graph_.output()});
        add(layers::add(), {value, graph_.output()});
        break;
    }
  }

  RandomStream random_;
  Graph graph_;
  bool has_outputs_;
};

std::string text_of(const Graph& graph) {
  std::string text;
  for (const Graph::Node& node : graph.nodes()) {
    text += fmt::format("{} = {}({})\n", node.name, node.layer->kind(), fmt::join(node.inputs, ", "));
  }
  return text;
}

/// Runs both, and compares outputs, gradients and sums of statistics element by element, exactly.
void compare(Exec exec, Graph graph, uint64_t id) {
  SCOPED_TRACE(text_of(graph));
  Graph plain = graph.clone();
  GraphRunner runner(plain, kRows, exec);
  Parameters parameters(exec, graph);
  const ParameterLayout& layout = parameters.layout();
  for (const ParameterLayout::Slot& slot : layout.parameters) {
    to_backend(exec, parameters.parameter(static_cast<int>(&slot - layout.parameters.data())),
               runner.parameters[slot.key]);
  }
  parameters.update_working_weights();
  Network network(exec, graph, parameters, kRows, /*training=*/true);
  const OnBackend<MicroBatchInfo> info(exec, {3, kRows, 1.0f / kRows});
  const Guarded<int64_t> index(exec, {kRows}, {100, 101, 102});
  const Guarded<float> reduced(exec, {layout.reduced_size()});
  const Network::MicroBatch batch{info.get(), index, reduced.span()};

  for (const uint64_t round : {0u, 1u}) {  // the second time over the remains of the first
    const std::vector<float> x = random_values(network.input().elements(), 2 * id + round);
    to_backend(exec, network.input(), x);
    network.forward(batch);
    ASSERT_EQ(from_backend(exec, network.output()), runner.forward(x));
    std::map<int, std::vector<float>> gradients;
    const std::vector<Graph::Output> outputs = graph.outputs();
    for (size_t k = 0; k < outputs.size(); ++k) {
      const Network::Output& output = network.outputs()[k];
      ASSERT_EQ(from_backend(exec, output.values), runner.value(outputs[k].value)) << outputs[k].name;
      ASSERT_TRUE(output.gradient);
      gradients[outputs[k].value] = random_values(output.values.elements(), 1000 + id + 100 * k);
      to_backend(exec, output.gradient, gradients[outputs[k].value]);
    }
    network.backward(batch, [](int) {});
    runner.backward(gradients);
    const std::vector<float> all = reduced.values();
    const auto check = [&](const ParameterLayout::Slot& slot, int64_t start,
                           const std::vector<float>& values) {
      const float* at = all.data() + start + slot.offset;
      ASSERT_EQ(std::vector<float>(at, at + slot.elements), values) << slot.key;
    };
    for (const ParameterLayout::Slot& slot : layout.parameters)
      check(slot, layout.gradients_offset(), runner.gradients[slot.key]);
    for (const ParameterLayout::Slot& slot : layout.states)
      check(slot, layout.state_sums_offset(), runner.state_sums[slot.key]);
  }
}

/// Every layer, or some, so that segments of all lengths come up. Each graph has a layer1.
std::vector<std::string> recomputed(uint64_t id) {
  if (id % 3 == 0) return {"*"};
  return id % 3 == 1 ? std::vector<std::string>{"layer1*"} : std::vector<std::string>{"layer0", "layer1"};
}

class RandomGraphs : public test::BackendTest {};
INSTANTIATE_FOR_BACKENDS(RandomGraphs);

TEST_P(RandomGraphs, ComputeTheSamePlannedAndUnplanned) {
  // An emulated GPU is slow, and the plan is the same for both.
  const uint64_t graphs = exec().on_cuda() ? 15 : 150;
  for (uint64_t id = 0; id < graphs && !testing::Test::HasFatalFailure(); ++id) {
    Graph graph = RandomGraph(id).make();
    compare(exec(), graph.clone(), id);
    compare(exec(), rewrite(graph.clone()), id);
    compare(exec(), rewrite(graph.clone(), {"none"}, Precision::bf16), id);
    compare(exec(), rewrite(std::move(graph), recomputed(id)), id);
  }
}

}  // namespace
}  // namespace lockstep
