#include <gtest/gtest.h>

#include "src/graph/layers/layers.h"
#include "src/graph/rewrites/rewrites.h"

namespace lockstep {
namespace {

Graph with_slice(const SliceOptions& options) {
  Graph graph({6}, 1);
  graph.add("a", layers::linear({.outputs = 8}));
  graph.add("b", layers::linear({.outputs = 8}));
  graph.add("slice", layers::slice(options));
  return graph;
}

TEST(PaddedOutput, EndsWithTheLayerWhoseFirstChannelsWereTaken) {
  const Graph graph = with_padded_output(with_slice({.count = 5}));
  EXPECT_EQ(graph.nodes().back().name, "b");
  EXPECT_EQ(graph.shape(graph.output()), Shape({8}));
}

TEST(PaddedOutput, LeavesOtherNetworksAsTheyAre) {
  const auto is_kept = [](const Graph& graph) {
    return with_padded_output(graph.clone()).output() == graph.output();
  };
  EXPECT_TRUE(is_kept(with_slice({.first = 1, .count = 5})));
  Graph other = with_slice({.count = 5});
  other.add("more", layers::linear({.outputs = 5}));
  EXPECT_TRUE(is_kept(other)) << "not the last layer";
  Graph early({6}, 1);
  const int a = early.add("a", layers::linear({.outputs = 8}));
  early.add("b", layers::linear({.outputs = 8}));
  early.add("slice", layers::slice({.count = 5}), {a});
  EXPECT_TRUE(is_kept(early)) << "of an earlier layer";
  Graph output = with_slice({.count = 5});
  output.set_loss_weight("b", 0.5);
  EXPECT_TRUE(is_kept(output)) << "of another output";
  Graph input({6}, 1);
  input.add("slice", layers::slice({.count = 5}));
  EXPECT_TRUE(is_kept(input)) << "of the input";
  EXPECT_TRUE(is_kept(Graph({6}, 1))) << "without layers";
}

}  // namespace
}  // namespace lockstep
