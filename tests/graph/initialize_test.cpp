#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "src/graph/graph.h"
#include "src/graph/layers/layers.h"

namespace lockstep {
namespace {

std::vector<float> values(Init init, const std::string& name = "conv1/weight", uint64_t seed = 1,
                          int64_t rows = 200) {
  std::vector<float> result(static_cast<size_t>(rows * 300));
  initialize_parameter({"weight", {rows, 300}, init, 300, 200}, name, seed, result.data());
  return result;
}

struct Moments {
  double mean = 0, variance = 0, largest = 0;
};

Moments moments(const std::vector<float>& sample) {
  Moments m;
  const double n = static_cast<double>(sample.size());
  for (const float v : sample) m.mean += static_cast<double>(v) / n;
  for (const float v : sample) {
    m.variance += (static_cast<double>(v) - m.mean) * (static_cast<double>(v) - m.mean) / n;
    m.largest = std::max(m.largest, std::abs(static_cast<double>(v)));
  }
  return m;
}

TEST(Initialize, UniformsHaveTheirBoundsAndFillThem) {
  for (const auto& [init, bound] : {std::pair{Init::glorot_uniform, std::sqrt(6.0 / 500)},
                                    std::pair{Init::he_uniform, std::sqrt(6.0 / 300)},
                                    std::pair{Init::kaiming_torch, 1 / std::sqrt(300.0)}}) {
    const Moments m = moments(values(init));
    EXPECT_LE(m.largest, bound * (1 + 1e-6));
    EXPECT_GT(m.largest, bound * 0.999);
    EXPECT_NEAR(m.mean, 0, bound * 0.01);
    EXPECT_NEAR(m.variance, bound * bound / 3, bound * bound * 0.01);
  }
}

TEST(Initialize, NormalsHaveTheirVariance) {
  for (const auto& [init, variance] :
       {std::pair{Init::glorot_normal, 2.0 / 500}, std::pair{Init::he_normal, 2.0 / 300},
        std::pair{Init::he_normal_out, 2.0 / 200}, std::pair{Init::normal, 1.0},
        std::pair{Init::lecun_normal, 1.0 / 300}}) {
    const Moments m = moments(values(init));
    EXPECT_NEAR(m.mean, 0, std::sqrt(variance) * 0.02);
    EXPECT_NEAR(m.variance, variance, variance * 0.03);
    EXPECT_GT(m.largest, 3.5 * std::sqrt(variance));  // it is not a uniform
  }
}

TEST(Initialize, ALinearLayerSaysTheDeviationOfItsNormal) {
  const auto layer = layers::linear({.outputs = 200, .init = Init::normal, .deviation = 0.01}).make({});
  const Value input = {DType::f32, {300}};
  layer->infer(std::span(&input, 1));
  std::vector<float> weight(200 * 300);
  initialize_parameter(layer->parameters()[0], "fc/weight", 1, weight.data());
  EXPECT_NEAR(moments(weight).variance, 1e-4, 3e-6);
}

TEST(Initialize, ZerosAndOnes) {
  EXPECT_EQ(values(Init::zeros), std::vector<float>(60000, 0.0f));
  EXPECT_EQ(values(Init::ones), std::vector<float>(60000, 1.0f));
}

TEST(Initialize, ANormalMayHaveAnotherDeviation) {
  const ParameterSpec spec{.name = "weight", .shape = {60000}, .init = Init::normal, .deviation = 0.02};
  std::vector<float> sample(60000);
  initialize_parameter(spec, "wte/weight", 1, sample.data());
  EXPECT_NEAR(moments(sample).variance, 4e-4, 4e-4 * 0.03);
}

TEST(Initialize, SinusoidsAreThoseOfThePaper) {
  const ParameterSpec spec{.name = "weight", .shape = {50, 6}, .init = Init::sinusoidal};
  std::vector<float> table(300);
  initialize_parameter(spec, "positions/weight", 1, table.data());
  for (const int64_t position : {0, 1, 49})
    for (int64_t i = 0; i < 3; ++i) {
      const double angle = static_cast<double>(position) / std::pow(10000, static_cast<double>(2 * i) / 6);
      const float* const pair = table.data() + position * 6 + 2 * i;
      EXPECT_NEAR(pair[0], std::sin(angle), 1e-6) << position << ", " << 2 * i;
      EXPECT_NEAR(pair[1], std::cos(angle), 1e-6) << position << ", " << 2 * i + 1;
    }
}

TEST(Initialize, DependsOnSeedAndFullNameAlone) {
  const std::vector<float> original = values(Init::he_normal);
  EXPECT_EQ(values(Init::he_normal), original);
  EXPECT_NE(values(Init::he_normal, "conv2/weight"), original);
  EXPECT_NE(values(Init::he_normal, "conv1/weight", 2), original);
  const std::vector<float> shorter = values(Init::he_normal, "conv1/weight", 1, 10);
  EXPECT_TRUE(std::equal(shorter.begin(), shorter.end(), original.begin()));
}

// torch.nn.init._calculate_fan_in_and_fan_out gives (75, 200) for both convolutions.
TEST(Initialize, FansAreThoseOfPyTorch) {
  for (const auto& [channels, groups] : {std::pair{3, 1}, std::pair{6, 2}}) {
    const auto layer = layers::conv2d({.filters = 8, .kernel = {5, 5}, .groups = groups}).make({});
    const Value input = {DType::f32, {9, 9, channels}};
    layer->infer(std::span(&input, 1));
    const std::vector<ParameterSpec> specs = layer->parameters();
    EXPECT_EQ(specs[0].fan_in, 75);
    EXPECT_EQ(specs[0].fan_out, 200);
    EXPECT_TRUE(specs[0].decay);
    EXPECT_FALSE(specs[1].decay);
    EXPECT_EQ(specs[1].init, Init::zeros);
  }
}

TEST(Initialize, KaimingTorchDrawsTheBiasFromTheBoundsOfTheWeight) {
  const auto layer = layers::linear({.outputs = 5, .init = Init::kaiming_torch}).make({});
  const Value input = {DType::f32, {64}};
  layer->infer(std::span(&input, 1));
  const ParameterSpec bias = layer->parameters()[1];
  EXPECT_EQ(bias.init, Init::kaiming_torch);
  EXPECT_EQ(bias.fan_in, 64);
}

TEST(Initialize, AStateIsFilledAsAWholeOrRowByRow) {
  std::vector<float> state(6);
  initialize_state({"a", {2, 3}, 0.5f, {}}, state.data());
  EXPECT_EQ(state, std::vector<float>(6, 0.5f));
  initialize_state({"a", {2, 3}, 0.5f, {0, 1}}, state.data());
  EXPECT_EQ(state, (std::vector<float>{0, 0, 0, 1, 1, 1}));
}

}  // namespace
}  // namespace lockstep
