#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/core/error.h"
#include "src/graph/layers/layers.h"
#include "src/graph/rewrites/rewrites.h"
#include "tests/graph/network_run.h"

namespace lockstep {
namespace {

using testing::ElementsAre, testing::HasSubstr;

/// Residual blocks of convolution, batch norm and ReLU, with dropout and pooling in between.
Graph blocks() {
  Graph graph({8, 8, 2}, 3);
  graph.add("stem", layers::conv2d({.filters = 4, .padding = {1, 1}}));
  for (const std::string name : {"block.0.", "block.1.", "block.2."}) {
    const int input = graph.output();
    graph.add(name + "conv1", layers::conv2d({.filters = 4, .padding = {1, 1}, .bias = false}));
    graph.add(name + "norm1", layers::batch_norm());
    graph.add(name + "relu1", layers::relu());
    graph.add(name + "conv2", layers::conv2d({.filters = 4, .padding = {1, 1}}));
    graph.add(name + "relu2", layers::relu());
    graph.add(name + "dropout", layers::dropout({.rate = 0.25}));
    graph.add(name + "add", layers::add(), {input, graph.output()});
    graph.add(name + "pool", layers::max_pool2d({.window = {3, 3}, .stride = {1, 1}, .padding = {1, 1}}));
  }
  graph.add("flatten", layers::flatten());
  graph.add("output", layers::linear({.outputs = 5}));
  return graph;
}

std::string error_of(const std::vector<std::string>& recomputed) {
  try {
    recompute(blocks(), recomputed);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    return error.what();
  }
  return "no error";
}

class Recompute : public test::BackendTest {};
INSTANTIATE_FOR_BACKENDS(Recompute);

TEST_P(Recompute, KeepsEveryBitWithFewerBytes) {
  const Graph plain = fuse(blocks());
  for (const std::vector<std::string>& which :
       {std::vector<std::string>{"blocks"}, {"block.1"}, {"*conv2", "block.0.norm1"}, {"stem", "flatten"}}) {
    const Graph rewritten = recompute(plain.clone(), which);
    NetworkRun a(exec(), plain), b(exec(), rewritten);
    EXPECT_EQ(a.forward(), b.forward());
    a.backward();
    b.backward();
    for (size_t p = 0; p < a.layout().parameters.size(); ++p)
      EXPECT_EQ(a.gradient(p), b.gradient(p)) << a.layout().parameters[p].name << " with " << which[0];
    for (size_t s = 0; s < a.layout().states.size(); ++s) EXPECT_EQ(a.state_sums(s), b.state_sums(s));
    EXPECT_EQ(a.states_after_update(), b.states_after_update());
  }
  const auto bytes = [&](const Graph& graph) { return plan_network(exec(), graph, 16, true).arena_bytes(); };
  EXPECT_LT(bytes(recompute(plain.clone(), {"blocks"})), bytes(plain) * 7 / 10);
  EXPECT_EQ(bytes(recompute(plain.clone(), {"none"})), bytes(plain));
}

TEST(RecomputeNames, ASegmentIsABlockOrAdjacentLayersOfOne) {
  const auto segments = [](const std::vector<std::string>& which) {
    const Graph graph = recompute(blocks(), which);
    std::vector<int> of;
    for (const Graph::Node& node : graph.nodes()) of.push_back(node.segment);
    return of;
  };
  std::vector<int> whole(27, -1);
  for (size_t i = 1; i < 25; ++i) whole[i] = static_cast<int>((i - 1) / 8);
  EXPECT_EQ(segments({"blocks"}), whole);
  EXPECT_EQ(segments({"block"}), whole) << "a block within which others lie";
  std::vector<int> some(27, -1);
  some[1] = some[2] = 0;
  some[4] = 1;
  EXPECT_EQ(segments({"block.0.conv*", "block.0.norm1"}), some);
}

TEST(RecomputeNames, ANameThatFitsNothingIsAnErrorThatListsWhatThereIs) {
  EXPECT_THAT(error_of({"blok.0"}),
              HasSubstr("train.recompute: no layer or block is named 'blok.0'. Did you mean 'block.0'?"));
  Graph flat({4});
  flat.add("linear", layers::linear({.outputs = 2}));
  try {
    recompute(std::move(flat), {"blocks"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("the model has no blocks. Name layers instead"));
  }
}

}  // namespace
}  // namespace lockstep
