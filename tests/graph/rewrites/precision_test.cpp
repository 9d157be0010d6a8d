#include <gmock/gmock.h>

#include "src/graph/layers/layers.h"
#include "src/graph/rewrites/rewrites.h"
#include "tests/graph/network_run.h"

namespace lockstep {
namespace {

using testing::ElementsAre;

/// "kind: type" of each layer's output.
std::vector<std::string> types_of(const Graph& graph) {
  std::vector<std::string> types;
  for (const Graph::Node& node : graph.nodes())
    types.push_back(node.layer->kind() + ": " + to_string(node.output.dtype));
  return types;
}

Graph in_bf16(Graph graph) { return in_precision(std::move(graph), Precision::bf16); }

TEST(InPrecision, ALinearLayerWritesTheOutput) {
  Graph graph({4});
  graph.add("a", layers::linear({.outputs = 3}));
  graph.add("b", layers::tanh());
  graph.add("c", layers::linear({.outputs = 2}));
  EXPECT_THAT(types_of(in_bf16(graph.clone())),
              ElementsAre("cast: bfloat16", "linear: bfloat16", "tanh: bfloat16", "linear: float32"));
  EXPECT_THAT(types_of(in_precision(std::move(graph), Precision::tf32)),
              ElementsAre("linear: float32", "tanh: float32", "linear: float32"));
}

TEST(InPrecision, AnyOtherOutputIsConverted) {
  Graph graph({4});
  graph.add("a", layers::linear({.outputs = 3}));
  graph.add("b", layers::tanh());
  const Graph narrow = in_bf16(std::move(graph));
  EXPECT_THAT(types_of(narrow),
              ElementsAre("cast: bfloat16", "linear: bfloat16", "tanh: bfloat16", "cast: float32"));
  EXPECT_EQ(narrow.outputs()[0].name, "b");
}

TEST(InPrecision, WhatOnlyMovesTheOutputMovesIt) {
  Graph graph({2, 4});
  graph.add("a", layers::linear({.outputs = 3}));
  graph.add("b", layers::flatten());
  EXPECT_THAT(types_of(in_bf16(std::move(graph))),
              ElementsAre("cast: bfloat16", "linear: float32", "flatten: float32"));

  Graph converted({2, 4});
  converted.add("a", layers::tanh());
  converted.add("b", layers::flatten());
  EXPECT_THAT(types_of(in_bf16(std::move(converted))),
              ElementsAre("cast: bfloat16", "tanh: bfloat16", "cast: float32", "flatten: float32"));
}

TEST(InPrecision, AnOutputThatLayersReadIsConvertedForTheLossAlone) {
  Graph graph({4});
  graph.add("a", layers::linear({.outputs = 2}));
  graph.set_loss_weight("a", 0.25);
  graph.add("b", layers::linear({.outputs = 2}));
  const Graph narrow = in_bf16(std::move(graph));
  EXPECT_THAT(types_of(narrow),
              ElementsAre("cast: bfloat16", "linear: bfloat16", "cast: float32", "linear: float32"));
  ASSERT_EQ(narrow.outputs().size(), 2u);
  EXPECT_EQ(narrow.value(narrow.outputs()[1].value).dtype, DType::f32);
  EXPECT_EQ(narrow.outputs()[1].name, "a");
  EXPECT_EQ(narrow.outputs()[1].weight, 0.25);
}

TEST(InPrecision, TokenIdsStay) {
  Graph graph(Value{DType::i32, {5}});
  graph.add("a", layers::embedding({.entries = 7, .width = 4}));
  graph.add("b", layers::linear({.outputs = 2}));
  EXPECT_THAT(types_of(in_bf16(std::move(graph))), ElementsAre("embedding: bfloat16", "linear: float32"));
}

class PrecisionTest : public test::BackendTest {};
INSTANTIATE_FOR_BACKENDS(PrecisionTest);

/// Two bytes round each value to 8 (bf16) or 11 (f16) bits, so the results of a shallow network differ from
/// those in fp32 by a few such roundings.
TEST_P(PrecisionTest, GivesTheSameResultsButForRounding) {
  Graph graph({6});
  graph.add("a", layers::linear({.outputs = 40}));
  graph.add("b", layers::gelu());
  const int skipped = graph.add("c", layers::linear({.outputs = 40}));
  graph.add("d", layers::tanh());
  graph.add("e", layers::add(), {skipped, graph.output()});
  graph.add("f", layers::linear({.outputs = 5}));
  NetworkRun exact({}, graph);
  const auto expected = results_of(exact);
  for (const auto& [precision, ulp] :
       {std::pair{Precision::tf32, 0x1p-10}, {Precision::bf16, 0x1p-8}, {Precision::fp16, 0x1p-11}}) {
    if (precision == Precision::fp16 && !exec().on_cuda()) continue;
    SCOPED_TRACE(to_string(precision));
    NetworkRun run(exec(), in_precision(graph.clone(), precision));
    double largest = 0;
    for (const auto& [name, values] : results_of(run)) {
      if (name == "states") continue;
      const double relative = test::distance(values, expected.at(name)) / test::norm(expected.at(name));
      EXPECT_LE(relative, 4 * ulp) << name;
      largest = std::max(largest, relative);
    }
    const bool rounds = precision != Precision::tf32 || exec().on_cuda();
    EXPECT_GE(largest, rounds ? ulp / 16 : 0) << "nothing is rounded";
  }
}

}  // namespace
}  // namespace lockstep
