#include "src/graph/layers/layers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <ostream>
#include <tuple>

#include "src/core/error.h"
#include "tests/graph/graph_runner.h"
#include "tests/support/compare.h"

namespace lockstep {
namespace {

using test::expect_close, test::kNormalized, test::to_double;

struct Case {
  std::string name;
  Value input;
  NewLayer layer;
  int inputs = 1;  ///< times that it reads `input`
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

Value f32(const Shape& shape) { return {DType::f32, shape}; }

/// A kind of layer with its standard options, and small numbers for those that are required: on images, or on
/// vectors, signals, volumes, token ids or sequences where it takes none; with one input, or with two.
/// Without inputs if nothing fits.
Case standard_case(const LayerKind& kind) {
  std::map<std::string, OptionValue> values;
  for (const LayerOption& option : kind.options) {
    if (option.standard) continue;
    values[option.name] = std::holds_alternative<int64_t>(option.type)   ? OptionValue(int64_t{3})
                          : std::holds_alternative<double>(option.type)  ? OptionValue(0.4)
                          : std::holds_alternative<Extents>(option.type) ? OptionValue(Extents(2))
                                                                         : option.type;
  }
  const NewLayer layer = kind.with(values);
  for (const int inputs : {1, 2})
    for (const Value& input :
         {f32({5, 4, 6}), f32({7}), f32({6, 3}), f32({3, 4, 2, 3}), Value{DType::i32, {5}}, f32({5, 18})})
      try {
        Graph(input).add("layer", layer, std::vector<int>(static_cast<size_t>(inputs), 0));
        return {kind.name, input, layer, inputs};
      } catch (const Error&) {  // it takes other inputs
      }
  return {kind.name, {}, layer, 0};
}

/// Every kind of layer, and options that are worth a case.
std::vector<Case> cases() {
  std::vector<Case> all = {
      {"linear_no_bias", f32({7}), layers::linear({.outputs = 3, .bias = false})},
      {"linear_on_positions", f32({3, 2, 4}), layers::linear({.outputs = 5})},
      {"conv2d_all_options", f32({6, 5, 4}),
       layers::conv2d({.filters = 6,
                       .kernel = {3, 2},
                       .stride = {2, 1},
                       .padding = {2, 1},
                       .dilation = {2, 3},
                       .groups = 2,
                       .bias = false})},
      {"conv1d_same", f32({7, 3}),
       layers::conv1d({.filters = 2, .kernel = 4, .stride = 2, .padding = Padding::same()})},
      {"conv2d_same", f32({6, 5, 2}),
       layers::conv2d({.filters = 3, .kernel = 3, .stride = {2, 1}, .padding = Padding::same()})},
      {"conv2d_depthwise", f32({5, 5, 3}),
       layers::conv2d({.filters = 3, .kernel = 3, .padding = 1, .groups = 3})},
      {"conv3d_all_options", f32({4, 5, 3, 2}),
       layers::conv3d({.filters = 4,
                       .kernel = {2, 3, 2},
                       .stride = {1, 2, 1},
                       .padding = {1, 0, 1},
                       .dilation = {2, 1, 1},
                       .groups = 2,
                       .bias = false})},
      {"conv_transpose1d_same", f32({4, 2}),
       layers::conv_transpose1d({.filters = 3, .kernel = 3, .stride = 2, .padding = Padding::same()})},
      {"conv_transpose2d_all_options", f32({3, 4, 4}),
       layers::conv_transpose2d({.filters = 6,
                                 .kernel = {3, 2},
                                 .stride = {2, 3},
                                 .padding = {1, 0},
                                 .output_padding = {1, 2},
                                 .dilation = {1, 2},
                                 .groups = 2})},
      {"max_pool2d_overlapping", f32({5, 6, 2}),
       layers::max_pool2d({.window = {3, 3}, .stride = {2, 2}, .padding = {1, 1}})},
      {"max_pool1d_rounded_up", f32({8, 3}), layers::max_pool1d({.window = 3, .stride = 2, .ceil = true})},
      {"max_pool3d_all_options", f32({4, 3, 5, 2}),
       layers::max_pool3d({.window = {3, 2, 2}, .stride = {2, 1, 2}, .padding = {1, 0, 1}, .ceil = true})},
      {"average_pool2d_padded", f32({5, 4, 2}),
       layers::average_pool2d({.window = {3, 2}, .padding = {1, 0}})},
      {"average_pool2d_all_options", f32({6, 4, 2}),
       layers::average_pool2d(
           {.window = {3, 3}, .stride = {2, 2}, .padding = {1, 1}, .ceil = true, .count_padding = true})},
      {"average_pool2d_same", f32({6, 5, 2}),
       layers::average_pool2d({.window = 3, .stride = 2, .padding = Padding::same()})},
      {"adaptive_average_pool2d_uneven", f32({5, 4, 2}), layers::adaptive_average_pool2d({.output = {3, 6}})},
      {"pad_uneven", f32({3, 2, 2}), layers::pad({.before = {0, 2}, .after = 1})},
      {"local_response_norm_strong", f32({3, 2, 6}),
       layers::local_response_norm({.size = 4, .alpha = 3, .beta = 1, .k = 2})},
      {"batch_norm_of_vectors", f32({4}), layers::batch_norm({})},
      {"pad_channels_on_both_sides", f32({3, 2, 4}), layers::pad_channels({.before = 2, .after = 1})},
      {"flatten_positions", f32({3, 2, 4}), layers::flatten({.last = 1})},
      {"causal_attention", f32({5, 12}), layers::attention({.heads = 2, .causal = true, .dropout = 0.4})},
      {"multihead_attention_no_bias", f32({3, 4}),
       layers::multihead_attention({.heads = 2, .causal = true, .dropout = 0.4, .bias = false})},
      {"positional_embedding_of_more", f32({3, 4}), layers::positional_embedding({.positions = 5})},
  };
  for (const LayerKind& kind : layer_kinds()) all.push_back(standard_case(kind));
  return all;
}

/// Distinct values that are at least 0.04 apart and away from zero, so that no finite difference crosses a
/// kink.
std::vector<float> spaced_values(int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  RandomStream random(3, 4);
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = 0.04f * (static_cast<float>(i) - static_cast<float>(count / 2) + 0.5f);
  for (size_t i = values.size(); i > 1; --i)
    std::swap(values[i - 1], values[random.next_below(static_cast<uint32_t>(i))]);
  return values;
}

/// What a graph may be given: spaced values, or the ids 0, 1, 2 in turn, which no small difference changes.
std::vector<float> inputs_of(const Graph& graph, int64_t n) {
  std::vector<float> x = spaced_values(n * graph.shape(0).elements());
  if (graph.value(0).dtype == DType::i32)
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i * 7 % 3);
  return x;
}

/// Central differences of the sum of weighted outputs, computed on the CPU, against the backend's backward,
/// at up to 40 elements of each array. The backend's outputs are the CPU's.
void expect_gradients(Exec exec, Graph& graph, int64_t n) {
  Graph tested_graph = graph.clone();
  GraphRunner tested(tested_graph, n, exec), run(graph, n);
  std::vector<float> x = inputs_of(graph, n);
  for (auto& [name, values] : run.parameters) values = random_values(static_cast<int64_t>(values.size()), 8);
  tested.parameters = run.parameters;
  const std::vector<float> weights = random_values(n * graph.shape(graph.output()).elements(), 7);
  expect_close(tested.forward(x), to_double(run.forward(x)), kNormalized, "output");
  const std::vector<float> dx = tested.backward(weights);
  const auto gradients = tested.gradients;

  const auto check = [&](const std::string& name, std::vector<float>& values,
                         const std::vector<float>& gradient) {
    constexpr float kStep = 0.01f;
    const size_t stride = values.size() / 40 + 1;
    for (size_t i = 0; i < values.size(); i += stride) {
      const float original = values[i];
      values[i] = original + kStep;
      const double above = dot(run.forward(x), weights);
      values[i] = original - kStep;
      const double below = dot(run.forward(x), weights);
      values[i] = original;
      const double expected = (above - below) / (2.0 * static_cast<double>(kStep));
      ASSERT_NEAR(gradient[i], expected, 3e-3 * std::max(1.0, std::abs(expected)))
          << name << " element " << i;
    }
  };
  if (graph.value(0).dtype == DType::f32) check("input", x, dx);
  for (auto& [name, values] : run.parameters) check(name, values, gradients.at(name));
}

class LayerTest : public testing::TestWithParam<std::tuple<Backend, Case>> {
 protected:
  void SetUp() override {
    test::use_backend(std::get<Backend>(GetParam()), exec);
    ASSERT_GT(layer().inputs, 0) << layer().name << " needs a case with inputs that it takes";
  }
  static const Case& layer() { return std::get<Case>(GetParam()); }
  static Graph graph() {
    Graph graph(layer().input);
    graph.add("layer", layer().layer, std::vector<int>(static_cast<size_t>(layer().inputs), 0));
    return graph;
  }
  Exec exec;
};

TEST_P(LayerTest, GradientsAgreeWithFiniteDifferences) {
  for (const int64_t n : {1, 3}) {
    Graph g = graph();
    if (n == 1 && g.nodes()[0].layer->traits().statistics_per_sample == 1)
      continue;  // one value: no variance
    expect_gradients(exec, g, n);
  }
}

TEST_P(LayerTest, GivesTheSameWhereItsTraitsLetItShareMemory) {
  Graph apart = graph(), together = graph();
  GraphRunner a(apart, 2, exec), b(together, 2, exec, true);
  const std::vector<float> x = inputs_of(apart, 2);
  EXPECT_EQ(a.forward(x), b.forward(x));
  const std::vector<float> dy = random_values(2 * apart.shape(1).elements(), 5);
  EXPECT_EQ(a.backward(dy), b.backward(dy));
  EXPECT_EQ(a.gradients, b.gradients);
  EXPECT_EQ(a.forward(x, false), b.forward(x, false));
}

TEST_P(LayerTest, SkipsTheInputsGradientWhereNobodyReadsIt) {
  Graph with = graph(), without = graph();
  GraphRunner a(with, 2, exec);
  const std::vector<float> x = inputs_of(with, 2);
  const std::vector<float> dy = random_values(2 * with.shape(1).elements(), 5);
  const std::vector<float> y = a.forward(x);
  a.backward(dy);

  // By hand: prepare(..., false), and an empty tensor for the gradient.
  GraphRunner b(without, 2, exec);
  without.nodes()[0].layer->prepare({exec, 2, false});
  EXPECT_EQ(b.forward(x), y);
  b.skip_input_gradients = true;
  b.backward(dy);
  EXPECT_EQ(a.gradients, b.gradients);
}

TEST_P(LayerTest, ACloneIsTheSameLayer) {
  Graph original = graph();
  Graph copy = original.clone();
  EXPECT_EQ(copy.nodes()[0].layer->describe(), original.nodes()[0].layer->describe());
  EXPECT_EQ(copy.shape(1), original.shape(1));
  // A clone of an inferred layer is inferred: it may be prepared at once.
  Graph::Node& node = original.nodes()[0];
  node.layer = node.layer->clone();
  GraphRunner a(original, 2, exec), b(copy, 2, exec);
  const std::vector<float> x = inputs_of(original, 2);
  EXPECT_EQ(a.forward(x), b.forward(x));
}

INSTANTIATE_TEST_SUITE_P(Backends, LayerTest,
                         testing::Combine(testing::Values(Backend::cpu, Backend::cuda),
                                          testing::ValuesIn(cases())),
                         [](const auto& test) {
                           return to_string(std::get<Backend>(test.param)) + "_" +
                                  std::get<Case>(test.param).name;
                         });

class LayersOnBackend : public test::BackendTest {};
INSTANTIATE_FOR_BACKENDS(LayersOnBackend);

TEST_P(LayersOnBackend, AResidualBranchAddsItsGradients) {
  Graph graph({6});
  const int a = graph.add("a", layers::linear({.outputs = 6}));
  graph.add("tanh", layers::tanh());
  const int b = graph.add("b", layers::linear({.outputs = 6}));
  graph.add("sum", layers::add(), {a, b});
  graph.add("twice", layers::add(), {graph.output(), graph.output()});
  expect_gradients(exec(), graph, 3);
}

TEST_P(LayersOnBackend, PaddingIsNotRead) {
  Graph graph(Value{DType::i32, {7}});
  const int mask = graph.add("mask", layers::padding_mask({.padding = 1}));
  graph.add("embedding", layers::embedding({.entries = 3, .width = 6}), {0});
  const int x = graph.add("attention", layers::multihead_attention({.heads = 2}), {graph.output(), mask});
  graph.add("qkv", layers::linear({.outputs = 18}));
  const int y = graph.add("again", layers::attention({.heads = 3}), {graph.output(), mask});
  graph.add("sum", layers::add(), {x, y});
  graph.add("mean", layers::mean_positions(), {graph.output(), mask});
  expect_gradients(exec(), graph, 3);

  // The vector of the padding changes nothing: its positions are neither read nor counted.
  GraphRunner run(graph, 2, exec());
  const std::vector<float> ids = {0, 2, 2, 0, 1, 1, 1, 2, 1, 0, 2, 0, 1, 1}, before = run.forward(ids);
  std::vector<float>& weight = run.parameters["embedding/weight"];
  for (size_t i = 6; i < 12; ++i) weight[i] += 10;
  EXPECT_EQ(run.forward(ids), before);
}

TEST_P(LayersOnBackend, DropoutOfAttentionIsForTrainingOnly) {
  Graph with({5, 12}), without({5, 12});
  with.add("attention", layers::attention({.heads = 2, .dropout = 0.5}));
  without.add("attention", layers::attention({.heads = 2}));
  GraphRunner a(with, 2, exec()), b(without, 2, exec());
  const std::vector<float> x = random_values(2 * 5 * 12, 3);
  EXPECT_EQ(a.forward(x, false), b.forward(x));
  EXPECT_NE(a.forward(x), b.forward(x));
}

TEST_P(LayersOnBackend, BatchNormStartsAtVarianceOneAndFollowsTheBatch) {
  Graph graph({2});
  graph.add("norm", layers::batch_norm({.momentum = 0.25, .epsilon = 1e-3}));
  GraphRunner run(graph, 4, exec());
  EXPECT_EQ(run.states["norm/running"], (std::vector<float>{0, 0, 1, 1}));
  const std::vector<float> x = {1, 10, 2, 10,
                                3, 20, 6, 20};  // means 3 and 15; unbiased variances 14/3 and 100/3
  run.forward(x);
  run.update_states();
  const std::vector<float>& running = run.states["norm/running"];
  EXPECT_NEAR(running[0], 0.25 * 3, 1e-6);
  EXPECT_NEAR(running[1], 0.25 * 15, 1e-5);
  EXPECT_NEAR(running[2], 0.75 + 0.25 * 14 / 3, 1e-5);
  EXPECT_NEAR(running[3], 0.75 + 0.25 * 100 / 3, 1e-4);
  const std::vector<float> y = run.forward(x, false);
  for (size_t i = 0; i < x.size(); ++i) {
    const double mean = static_cast<double>(running[i % 2]),
                 variance = static_cast<double>(running[2 + i % 2]);
    EXPECT_NEAR(y[i], (static_cast<double>(x[i]) - mean) / std::sqrt(variance + 1e-3), 1e-5);
  }
}

TEST_P(LayersOnBackend, DropoutDropsInTrainingOnlyAndByName) {
  const auto output = [this](const std::string& name, bool training) {
    Graph graph({1000}, 5);
    graph.add(name, layers::dropout({.rate = 0.25}));
    GraphRunner run(graph, 2, exec());
    return run.forward(std::vector<float>(2000, 1.0f), training);
  };
  EXPECT_EQ(output("a", false), std::vector<float>(2000, 1.0f));
  const std::vector<float> dropped = output("a", true);
  EXPECT_NEAR(static_cast<double>(std::count(dropped.begin(), dropped.end(), 0.0f)), 500, 80);
  EXPECT_EQ(output("a", true), dropped);
  EXPECT_NE(output("b", true), dropped);
}

TEST(Layers, CountTheirWork) {
  Graph graph({8, 8, 4});
  graph.add("conv", layers::conv2d({.filters = 6, .stride = {2, 2}, .padding = {1, 1}, .groups = 2}));
  EXPECT_EQ(graph.shape(1), (Shape{4, 4, 6}));
  EXPECT_EQ(graph.nodes()[0].layer->flops(), 2 * 4 * 4 * 6 * 9 * 2);
  graph.add("flatten", layers::flatten());
  graph.add("linear", layers::linear({.outputs = 10}));
  EXPECT_EQ(graph.nodes()[2].layer->flops(), 2 * 96 * 10);

  Graph sequence({5, 12});
  sequence.add("all", layers::multihead_attention({.heads = 2}));
  EXPECT_EQ(sequence.nodes()[0].layer->flops(), 2 * 5 * (12 * 36 + 12 * 12) + 4 * 5 * 5 * 12);
  sequence.add("causal", layers::attention({.heads = 2, .causal = true}));
  EXPECT_EQ(sequence.nodes()[1].layer->flops(), 4 * 15 * 4) << "15 of 25 pairs, of queries of 4 numbers";
}

TEST(Layers, SayInWordsWhatTheyAre) {
  Graph graph({9, 9, 4});
  graph.add("conv", layers::conv2d({.filters = 32, .padding = {1, 1}, .bias = false}));
  graph.add("relu", layers::relu());
  graph.add("pool", layers::max_pool2d({.window = {2, 3}}));
  graph.add("pad", layers::pad({.before = 1, .after = {0, 2}}));
  graph.add("mean",
            layers::average_pool2d(
                {.window = 2, .stride = {1, 0}, .padding = {1, 1}, .ceil = true, .count_padding = true}));
  graph.add("same", layers::max_pool2d({.window = 3, .stride = 1, .padding = Padding::same()}));
  graph.add("even", layers::adaptive_max_pool2d({.output = {3, 2}}));
  EXPECT_EQ(graph.nodes()[0].layer->describe(), "32 filters 3x3, stride 1, padding 1, no bias");
  EXPECT_EQ(graph.nodes()[1].layer->describe(), "elementwise");
  EXPECT_EQ(graph.nodes()[2].layer->describe(), "window 2x3, stride 2x3");
  EXPECT_EQ(graph.nodes()[3].layer->describe(), "zeros: 1 before, [0, 2] after");
  EXPECT_EQ(graph.nodes()[4].layer->describe(),
            "window 2x2, stride 1x2, padding 1, rounded up, padding counted");
  EXPECT_EQ(graph.nodes()[5].layer->describe(), "window 3x3, stride 1, padding same");
  EXPECT_EQ(graph.shape(6), graph.shape(5));
  EXPECT_EQ(graph.nodes()[6].layer->describe(), "output 3x2");

  Graph sequence({4, 12});
  sequence.add("a", layers::multihead_attention({.heads = 2, .causal = true, .dropout = 0.5, .bias = false}));
  EXPECT_EQ(sequence.nodes()[0].layer->describe(), "2 heads, causal, dropout 0.5, no bias");
  sequence.add("b", layers::positional_embedding({.positions = 9}));
  EXPECT_EQ(sequence.nodes()[1].layer->describe(), "9 positions");
  sequence.add("c", layers::flatten({.first = 0, .last = 1}));
  EXPECT_EQ(sequence.nodes()[2].layer->describe(), "axes 0 to 1");
}

}  // namespace
}  // namespace lockstep
