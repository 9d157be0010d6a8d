#include "src/graph/network.h"

#include <gtest/gtest.h>

#include <cmath>

#include "src/core/hash.h"
#include "src/core/rng.h"
#include "src/graph/layers/layers.h"

namespace lockstep {
namespace {

/// A network with every kind of edge the planner knows: a residual connection, a value that is reshaped and
/// read twice, batch norm with running statistics, dropout, pooling of all kinds, in-place activations.
Graph tangled_network() {
  Graph graph({6, 6, 2});
  const int stem = graph.add("stem", make_conv2d({.filters = 4, .pad_h = 1, .pad_w = 1}));
  graph.add("norm", make_batch_norm({}));
  graph.add("tanh", make_activation(Activation::tanh));
  graph.add("conv", make_conv2d({.filters = 4, .pad_h = 1, .pad_w = 1, .groups = 2, .bias = false}));
  graph.add("sum", make_add(), {stem, graph.output()});
  graph.add("average", make_average_pool2d({}));
  const int pooled = graph.add("gelu", make_activation(Activation::gelu));
  const int flat = graph.add("flatten", make_flatten());
  graph.add("dropout", make_dropout("dropout", 0.25, 3));
  const int left = graph.add("left", make_linear({.outputs = 5}));
  graph.add("right", make_linear({.outputs = 5}), {flat});
  const int both = graph.add("both", make_add(), {left, graph.output()});
  graph.add("global", make_global_average_pool(), {pooled});
  graph.add("widen", make_linear({.outputs = 5}));
  graph.add("all", make_add(), {both, graph.output()});
  graph.add("bias", make_bias());
  graph.add("sigmoid", make_activation(Activation::sigmoid));
  return graph;
}

class NetworkGradient : public testing::Test {
 protected:
  static constexpr int64_t kRows = 3;

  NetworkGradient() {
    parameters_.initialize(5);
    RandomStream random(17, 2);
    for (float& x : input_) x = random.next_normal();
    for (float& c : coefficients_) c = random.next_normal();
    for (int64_t i = 0; i < kRows; ++i) index_[static_cast<size_t>(i)] = 100 + i;
  }

  /// A fixed linear function of the outputs, summed in double.
  double loss() {
    Network::MicroBatch batch = micro_batch();
    std::copy(input_.begin(), input_.end(), network_.input().data<float>());
    network_.forward(batch);
    const float* y = network_.output().data<float>();
    double sum = 0;
    for (size_t i = 0; i < coefficients_.size(); ++i) sum += static_cast<double>(coefficients_[i]) * y[i];
    return sum;
  }

  Network::MicroBatch micro_batch() {
    return {&info_, ConstTensor(index_.data(), DType::i64, {kRows}), reduced_};
  }

  Graph graph_ = tangled_network();
  Parameters parameters_{{}, graph_};
  Network network_{{}, graph_, parameters_, kRows, true};
  MicroBatchInfo info_{4, kRows, 1.0f / kRows};
  std::vector<float> input_ = std::vector<float>(kRows * 6 * 6 * 2);
  std::vector<float> coefficients_ = std::vector<float>(kRows * 5);
  std::vector<int64_t> index_ = std::vector<int64_t>(kRows);
  std::vector<float> reduced_ = std::vector<float>(static_cast<size_t>(parameters_.layout().reduced_size()));
};

TEST_F(NetworkGradient, EveryParameterAgreesWithFiniteDifferences) {
  loss();
  std::copy(coefficients_.begin(), coefficients_.end(), network_.output_gradient().data<float>());
  std::vector<int> order;
  network_.backward(micro_batch(), [&](int node) { order.push_back(node); });
  EXPECT_EQ(order, parameters_.layout().node_of_ready_end) << "buckets close in the order of the layout";

  const std::vector<float> gradients = reduced_;
  const ParameterLayout& layout = parameters_.layout();
  for (const ParameterLayout::Slot& slot : layout.parameters) {
    // A direction for the whole tensor checks all its elements at once, with far less rounding than one
    // element.
    RandomStream random(23, hash_name(slot.name));
    float* weights = parameters_.weights().data() + slot.offset;
    const std::vector<float> before(weights, weights + slot.elements);
    std::vector<float> direction(before.size());
    double expected = 0;
    for (size_t i = 0; i < direction.size(); ++i) {
      direction[i] = random.next_normal();
      expected += static_cast<double>(direction[i]) *
                  gradients[static_cast<size_t>(layout.gradients_offset() + slot.offset) + i];
    }
    constexpr float kStep = 2e-3f;
    const auto loss_at = [&](float distance) {
      for (size_t i = 0; i < direction.size(); ++i) weights[i] = before[i] + distance * direction[i];
      return loss();
    };
    const double measured = (loss_at(kStep) - loss_at(-kStep)) / (2 * kStep);
    std::copy(before.begin(), before.end(), weights);
    EXPECT_NEAR(measured, expected, 2e-3 + 5e-3 * std::abs(expected)) << slot.name;
  }
}

TEST_F(NetworkGradient, RunningTheSameTwiceGivesTheSameBits) {
  const double first = loss();
  std::copy(coefficients_.begin(), coefficients_.end(), network_.output_gradient().data<float>());
  network_.backward(micro_batch(), [](int) {});
  const std::vector<float> gradients = reduced_;
  EXPECT_EQ(loss(), first);
  std::copy(coefficients_.begin(), coefficients_.end(), network_.output_gradient().data<float>());
  network_.backward(micro_batch(), [](int) {});
  EXPECT_EQ(reduced_, gradients);
}

TEST_F(NetworkGradient, FusionChangesNoGradient) {
  Graph graph({9, 9, 1});
  graph.add("conv1", make_conv2d({.filters = 3}));
  graph.add("relu1", make_activation(Activation::relu));
  graph.add("pool1", make_max_pool2d({}));
  graph.add("conv2", make_conv2d({.filters = 4, .kernel_h = 2, .kernel_w = 2}));
  graph.add("relu2", make_activation(Activation::relu));
  graph.add("flatten", make_flatten());
  graph.add("dense", make_linear({.outputs = 4}));
  graph.add("relu3", make_activation(Activation::relu));
  const Graph fused = fuse(graph.clone());
  EXPECT_LT(fused.nodes().size(), graph.nodes().size());

  const auto gradients_of = [](const Graph& g) {
    Parameters parameters({}, g);
    parameters.initialize(9);
    Network network({}, g, parameters, 5, true);
    std::vector<float> reduced(static_cast<size_t>(parameters.layout().reduced_size()));
    std::vector<int64_t> index(5);
    const MicroBatchInfo info{0, 5, 0.2f};
    const Network::MicroBatch batch{&info, ConstTensor(index.data(), DType::i64, {5}), reduced};
    RandomStream random(1, 1);
    for (int i = 0; i < 5 * 81; ++i) network.input().data<float>()[i] = random.next_normal();
    network.forward(batch);
    std::vector<float> all(network.output().data<float>(), network.output().data<float>() + 20);
    for (int i = 0; i < 20; ++i) network.output_gradient().data<float>()[i] = random.next_normal();
    network.backward(batch, [](int) {});
    for (const ParameterLayout::Slot& slot : parameters.layout().parameters) {
      const float* gradient = reduced.data() + parameters.layout().gradients_offset() + slot.offset;
      all.insert(all.end(), gradient, gradient + slot.elements);
    }
    return all;
  };
  const std::vector<float> plain = gradients_of(graph), with_fusion = gradients_of(fused);
  ASSERT_EQ(plain.size(), with_fusion.size());
  for (size_t i = 0; i < plain.size(); ++i) EXPECT_EQ(plain[i], with_fusion[i]) << i;
}

}  // namespace
}  // namespace lockstep
