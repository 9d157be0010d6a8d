#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "models/registry.h"
#include "src/core/error.h"
#include "src/graph/rewrites/rewrites.h"
#include "tests/graph/network_run.h"
#include "tests/models/zoo/parameter_count.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> names(const Graph& graph) {
  std::vector<std::string> result;
  for (const Graph::Node& node : graph.nodes()) result.push_back(node.name);
  return result;
}

TEST(Models, MlpIsTheClassicalPerceptronStack) {
  const Graph graph = build_model({.name = "mlp"}, {28, 28}, {10}, 1);
  EXPECT_THAT(names(graph), ElementsAre("flatten", "linear1", "relu1", "output"));
  EXPECT_EQ(parameter_count(graph), 784 * 64 + 64 + 64 * 10 + 10);
  EXPECT_EQ(graph.shape(graph.output()), Shape{10});
}

TEST(Models, MlpTakesItsKeys) {
  const ModelSpec spec{
      .name = "mlp",
      .keys = {{"hidden", std::vector<int64_t>{30, 20}}, {"activation", "tanh"}, {"dropout", 0.5}}};
  EXPECT_THAT(names(build_model(spec, {12}, {3}, 1)), ElementsAre("flatten", "linear1", "tanh1", "dropout1",
                                                                  "linear2", "tanh2", "dropout2", "output"));
  // A number may stand for a list of one, and an integer for a number.
  const ModelSpec one{.name = "mlp", .keys = {{"hidden", int64_t{7}}, {"dropout", int64_t{0}}}};
  EXPECT_EQ(parameter_count(build_model(one, {12}, {3}, 1)), 12 * 7 + 7 + 7 * 3 + 3);
  const ModelSpec none{.name = "mlp", .keys = {{"hidden", std::vector<int64_t>{}}}};
  EXPECT_THAT(names(build_model(none, {12}, {3}, 1)), ElementsAre("flatten", "output"));
}

TEST(Models, CnnHasTheLayersOfTheTutorials) {
  // Images without a channel axis have one channel.
  for (const Shape& input : {Shape{28, 28}, Shape{28, 28, 1}}) {
    const Graph graph = build_model({}, input, {10}, 1);
    EXPECT_EQ(graph.shape(0), (Shape{28, 28, 1}));
    EXPECT_THAT(names(graph),
                ElementsAre("conv1", "relu1", "pool1", "conv2", "relu2", "pool2", "flatten", "output"));
    EXPECT_EQ(graph.shape(6), (Shape{5, 5, 64}));
    EXPECT_EQ(parameter_count(graph), 320 + 18496 + 16010);
  }
}

TEST(Models, DeepCamHasAnOutputAtEachPositionOfAnyImage) {
  for (const auto& [height, width] : {std::pair{1, 5}, {16, 32}, {17, 31}, {30, 24}})
    for (const int64_t output_stride : {8, 16}) {
      const Graph graph = build_model({.name = "deepcam", .keys = {{"output_stride", output_stride}}},
                                      {height, width, 2}, {3, {height, width}}, 1);
      EXPECT_EQ(graph.shape(graph.output()), (Shape{height, width, 3}));
      const int features = graph.find("xception_features.relu5") + 1;
      EXPECT_EQ(graph.shape(features)[1], (width + output_stride - 1) / output_stride);
    }
}

class ModelsOnBackend : public test::BackendTest {};
INSTANTIATE_FOR_BACKENDS(ModelsOnBackend);

TEST_P(ModelsOnBackend, RunForwardAndBackwardAsOnTheCpu) {
  for (const ModelEntry& entry : model_registry()) {
    SCOPED_TRACE(entry.name);
    const ModelUse& use = entry.small;
    const Graph graph = build_model({.name = entry.name, .keys = use.keys}, use.input, use.output, 1);
    expect_as_on_cpu(exec(), rewrite(graph.clone()));
    NetworkRun run(exec(), graph);
    for (const float y : run.forward()) EXPECT_TRUE(std::isfinite(y));
    run.backward();
    for (size_t p = 0; p < run.layout().parameters.size(); ++p)
      for (const float g : run.gradient(p)) ASSERT_TRUE(std::isfinite(g)) << run.layout().parameters[p].name;
  }
}

std::string error_of(const ModelSpec& spec, const Shape& input) {
  try {
    build_model(spec, input, {10}, 1);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    return error.what();
  }
  return "no error";
}

TEST(Models, SayWhatIsWrong) {
  EXPECT_THAT(error_of({.name = "cn"}, {28, 28}), HasSubstr("unknown model 'cn'. Did you mean 'cnn'?"));
  EXPECT_THAT(error_of({.name = "mlp", .keys = {{"hiden", int64_t{3}}}}, {28, 28}),
              HasSubstr("model 'mlp' has no key 'model.hiden'. Did you mean 'hidden'?"));
  EXPECT_THAT(error_of({.name = "mlp", .keys = {{"hidden", "many"}}}, {28, 28}),
              HasSubstr("model.hidden of model 'mlp' must be a list of integers, not a string."));
  EXPECT_THAT(error_of({.name = "mlp", .keys = {{"hidden", std::vector<int64_t>{64, 0}}}}, {28, 28}),
              HasSubstr("layer 'linear2' (linear): outputs is 0"));
  EXPECT_THAT(error_of({.name = "mlp", .keys = {{"activation", "rely"}}}, {28, 28}),
              HasSubstr("unknown model.activation 'rely'. Did you mean 'relu'?"));
  EXPECT_THAT(error_of({.name = "cnn", .keys = {{"dropout", -0.5}}}, {28, 28}), HasSubstr("rate is -0.5"));
  EXPECT_THAT(
      error_of({.name = "cnn"}, {4, 4}),
      HasSubstr(
          "model 'cnn' for samples of shape (4, 4): layer 'conv2' (conv2d): kernel 3x3 is larger than the "
          "1x1 input."));
  EXPECT_THAT(error_of({.name = "resnet18", .keys = {{"stem", "cifr"}}}, {28, 28}),
              HasSubstr("unknown model.stem 'cifr'. Did you mean 'cifar'?"));
  EXPECT_THAT(error_of({.name = "resnet18", .keys = {{"filters", std::vector<int64_t>{64}}}}, {28, 28}),
              HasSubstr("model.filters = [64] has 1 number, but must have 4."));
  EXPECT_THAT(
      error_of({.name = "resnet18", .keys = {{"blocks", std::vector<int64_t>{1, 0, 1, 1}}}}, {28, 28}),
      HasSubstr("model.blocks = [1, 0, 1, 1] must be numbers from 1."));
  EXPECT_THAT(error_of({.name = "resnet18", .keys = {{"groups", int64_t{2}}}}, {28, 28}),
              HasSubstr("model.groups and model.group_width need model.bottleneck = true."));
  EXPECT_THAT(
      error_of({.name = "unet"}, {16, 16, 3}),
      HasSubstr("has an output at each of the positions (16, 16) of a sample, but the targets have one "
                "for the whole sample."));
  const auto deepcam_error = [](const std::string& key, int64_t value) {
    try {
      build_model({.name = "deepcam", .keys = {{key, value}}}, {16, 16, 3}, {2, {16, 16}}, 1);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_THAT(deepcam_error("output_stride", 32), HasSubstr("model.output_stride = 32 must be 8 or 16."));
  EXPECT_THAT(deepcam_error("middle_blocks", -1), HasSubstr("model.middle_blocks = -1 must be at least 0."));
  EXPECT_THAT(error_of({.name = "mobilenet_v2", .keys = {{"width", 0.0}}}, {28, 28}),
              HasSubstr("model.width = 0 must be above 0."));
  EXPECT_THAT(error_of({.name = "cnn"}, {784}), HasSubstr("but its input is (784)"));
}

TEST(Models, EveryModelHasItsOwnName) {
  std::set<std::string> seen;
  for (const ModelEntry& entry : model_registry()) {
    EXPECT_TRUE(seen.insert(entry.name).second) << entry.name;
    EXPECT_EQ(find_model(entry.name), &entry);
    EXPECT_FALSE(entry.description.empty()) << entry.name;
  }
  EXPECT_EQ(find_model("no such model"), nullptr);
}

TEST(Models, EveryFamiliarNameMeansAModel) {
  for (const Synonym& synonym : model_synonyms()) {
    if (synonym.advice.empty()) {
      EXPECT_NE(find_model(std::string(synonym.meant)), nullptr) << synonym.typed;
    }
    EXPECT_EQ(find_model(std::string(synonym.typed)), nullptr) << synonym.typed;
  }
}

}  // namespace
}  // namespace lockstep
