#include "src/optim/optimizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "src/core/error.h"
#include "src/core/rng.h"
#include "src/optim/update_rules.h"
#include "tests/optim/trained.h"

namespace lockstep {
namespace {

using test::BackendTest, test::to_backend;
using testing::HasSubstr;

/// A second implementation in double, one weight at a time. From the papers: Polyak 1964, Nesterov 1983 as in
/// Sutskever et al. 2013, Kingma and Ba 2015 (algorithm 1), Loshchilov and Hutter 2019 (algorithm 2), Duchi
/// et al. 2011, Tieleman and Hinton 2012.
struct Oracle {
  OptimizerSpec spec;
  bool decays = false;
  double w = 0, first = 0, second = 0;

  void step(double lr, int t, double g) {
    const double wd = decays || spec.decay_all ? spec.weight_decay : 0;
    if (spec.name == "adamw")
      w -= lr * wd * w;
    else
      g += wd * w;
    if (spec.name == "sgd") {
      first = spec.momentum * first + g;
      w -= lr * (spec.nesterov ? g + spec.momentum * first : first);
    } else if (spec.name == "adam" || spec.name == "adamw") {
      first = spec.beta1 * first + (1 - spec.beta1) * g;
      second = spec.beta2 * second + (1 - spec.beta2) * g * g;
      const double unbiased_first = first / (1 - std::pow(spec.beta1, t));
      const double unbiased_second = second / (1 - std::pow(spec.beta2, t));
      w -= lr * unbiased_first / (std::sqrt(unbiased_second) + spec.epsilon);
    } else if (spec.name == "adagrad") {
      first += g * g;
      w -= lr * g / (std::sqrt(first) + spec.epsilon);
    } else if (spec.name == "rmsprop") {
      first = spec.alpha * first + (1 - spec.alpha) * g * g;
      second = spec.momentum * second + g / (std::sqrt(first) + spec.epsilon);
      w -= lr * second;
    } else {
      ADD_FAILURE() << "no formula for " << spec.name;
    }
  }
};

struct Case {
  std::string name;
  double momentum = 0;
  bool nesterov = false;
  double weight_decay = 0;
  bool decay_all = false;
  double clip_norm = 0;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name << " momentum " << c.momentum << (c.nesterov ? " nesterov" : "") << " decay "
       << c.weight_decay << (c.decay_all ? " on all" : "") << " clip " << c.clip_norm;
}

bool has(const UpdateRule& rule, const std::string& key) {
  return std::ranges::any_of(hyperparameters(),
                             [&](const Hyperparameter* h) { return h->key == key && rule.has(*h); });
}

/// Of every rule but those that scale the update of each parameter: see layerwise_test.cpp.
std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const UpdateRule& rule : update_rules()) {
    if (rule.trust_ratio != TrustRatio::none) continue;
    const std::string name = rule.name;
    cases.push_back({name});
    cases.push_back({name, 0, false, 0.1});
    cases.push_back({name, 0, false, 0.1, true, 2.5});
    if (has(rule, "momentum")) cases.push_back({name, 0.5, false, 0.1, false, 3.0});
    if (has(rule, "nesterov")) cases.push_back({name, 0.9, true, 0.1});
  }
  return cases;
}

class OptimizerTest : public BackendTest {};
INSTANTIATE_FOR_BACKENDS(OptimizerTest);

/// lr_scale: of two of five blocks.
void expect_agreement_over_twenty_steps(Exec exec, const Case& test_case, float lr_scale) {
  SCOPED_TRACE(testing::PrintToString(test_case));
  SCOPED_TRACE(lr_scale);
  OptimizerSpec spec;
  spec.name = test_case.name;
  spec.momentum = test_case.momentum;
  spec.nesterov = test_case.nesterov;
  spec.weight_decay = test_case.weight_decay;
  spec.decay_all = test_case.decay_all;
  spec.clip_norm = test_case.clip_norm;
  constexpr int64_t kSize = 5 * kFlatBlock;
  std::vector<FlatBlock> blocks = blocks_of({{1, true}, {2, false}, {1, true}, {1, false}});
  blocks[3].lr_scale = blocks[4].lr_scale = lr_scale;
  std::vector<float> weights(kSize), gradients(kSize);
  std::vector<Oracle> oracles(kSize);
  RandomStream random(1, 2);
  for (size_t i = 0; i < weights.size(); ++i) {
    weights[i] = random.next_normal();
    oracles[i] = {spec, blocks[i / kFlatBlock].decays, static_cast<double>(weights[i]), 0, 0};
  }
  Trained trained(exec, spec, weights, blocks);
  for (int t = 1; t <= 20; ++t) {
    double squares = 0;
    for (float& g : gradients) {
      g = random.next_normal();
      squares += static_cast<double>(g) * static_cast<double>(g);
    }
    const double clip =
        spec.clip_norm > 0 ? std::min(1.0, spec.clip_norm / (std::sqrt(squares) + 1e-6)) : 1.0;
    const Trained::Update update{0.01f / static_cast<float>(t), t};
    const float norm = trained.update(update, gradients, /*judges=*/t % 2 == 0);
    EXPECT_NEAR(norm, t % 2 == 0 || spec.clip_norm > 0 ? std::sqrt(squares) : -1, 1e-4);
    for (size_t i = 0; i < weights.size(); ++i)
      oracles[i].step(double{update.lr} * double{blocks[i / kFlatBlock].lr_scale}, t,
                      clip * static_cast<double>(gradients[i]));
  }
  weights = trained.weights();
  for (size_t i = 0; i < weights.size(); ++i) ASSERT_NEAR(weights[i], oracles[i].w, 5e-6) << "element " << i;
  for (size_t s = 0; s < trained.optimizer.state().size(); ++s) {
    const std::vector<float> state = trained.state(s);
    for (size_t i = 0; i < state.size(); ++i) {
      const double expected = s == 0 ? oracles[i].first : oracles[i].second;
      ASSERT_NEAR(state[i], expected, 2e-6 * std::max(1.0, std::abs(expected)))
          << trained.optimizer.state()[s].name << ", element " << i;
    }
  }
}

TEST_P(OptimizerTest, AgreesWithTheOracleOverTwentySteps) {
  for (const Case& test_case : all_cases()) {
    for (const float lr_scale : {1.0f, 0.1f}) {
      expect_agreement_over_twenty_steps(exec(), test_case, lr_scale);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(OptimizerTest, AScaledParameterIsTrainedAsAloneWithTheScaledLearningRate) {
  constexpr float kScale = 0.125f;  // exact
  std::vector<float> start(4 * kFlatBlock), gradients(4 * kFlatBlock);
  RandomStream random(3, 4);
  for (float& weight : start) weight = random.next_normal();
  const auto half = [](const std::vector<float>& values, bool second) {
    const auto middle = values.begin() + 2 * kFlatBlock;
    return second ? std::vector(middle, values.end()) : std::vector(values.begin(), middle);
  };
  std::vector<FlatBlock> blocks = blocks_of({{2, true}, {2, true}});
  blocks[2].lr_scale = blocks[3].lr_scale = kScale;
  for (const UpdateRule& rule : update_rules())
    for (const double momentum : {0.0, 0.9}) {
      const OptimizerSpec spec{.name = rule.name, .momentum = momentum, .weight_decay = 0.1};
      Trained together(exec(), spec, start, blocks),
          first(exec(), spec, half(start, false), blocks_of({{2, true}})),
          second(exec(), spec, half(start, true), blocks_of({{2, true}}));
      for (int t = 1; t <= 5; ++t) {
        for (float& gradient : gradients) gradient = random.next_normal();
        together.update({0.05f, t}, gradients);
        first.update({0.05f, t}, half(gradients, false));
        second.update({kScale * 0.05f, t}, half(gradients, true));
      }
      EXPECT_EQ(half(together.weights(), false), first.weights()) << rule.name << " momentum " << momentum;
      EXPECT_EQ(half(together.weights(), true), second.weights()) << rule.name << " momentum " << momentum;
    }
}

TEST(OptimizerState, ARuleMayKeepNone) {
  for (const double momentum : {0.0, 0.9}) {
    const OptimizerSpec spec{.momentum = momentum};
    EXPECT_FALSE(RuleState{}.is_kept(spec));
    EXPECT_TRUE(RuleState{"m"}.is_kept(spec));
    EXPECT_EQ((RuleState{"momentum", &OptimizerSpec::momentum}.is_kept(spec)), momentum > 0);
  }
  EXPECT_TRUE(Optimizer(Exec{}, {.name = "sgd"}, blocks_of({{1, true}})).state().empty());
}

TEST(OptimizerState, ItsBytesAreKnownBeforeItExists) {
  for (const UpdateRule& rule : update_rules())
    for (const double momentum : {0.0, 0.9})
      for (const double weight_decay : {0.0, 0.01})
        for (const float lr_scale : {1.0f, 0.5f}) {
          const OptimizerSpec spec{.name = rule.name, .momentum = momentum, .weight_decay = weight_decay};
          std::vector<FlatBlock> blocks = blocks_of({{5, true}, {1, false}, {20, true}, {2, false}});
          blocks[0].lr_scale = lr_scale;
          const Optimizer whole(Exec{}, spec, blocks);
          EXPECT_EQ(static_cast<size_t>(optimizer_bytes(spec, blocks)), whole.bytes()) << rule.name;
          EXPECT_EQ(static_cast<size_t>(optimizer_states(spec)), whole.state().size()) << rule.name;
          const Optimizer half(Exec{}, spec, blocks,
                               OptimizerShare{.ranges = {{0, 14 * kFlatBlock}}, .ranks = 2, .gather = {}});
          EXPECT_EQ(static_cast<size_t>(optimizer_bytes(spec, blocks, 2)), half.bytes()) << rule.name;
        }
}

TEST_P(OptimizerTest, StateIsNamedAndContinuesWhereItWasSaved) {
  std::vector<OptimizerSpec> specs;
  for (const UpdateRule& rule : update_rules())
    for (const double momentum : {0.0, 0.9}) specs.push_back({.name = rule.name, .momentum = momentum});
  for (const OptimizerSpec& spec : specs) {
    std::vector<std::string> states;
    for (const RuleState& state : update_rule_named(spec.name).states)
      if (state.is_kept(spec)) states.emplace_back(state.name);
    const std::vector<float> gradients(kFlatBlock, 0.25f);
    Trained whole(exec(), spec, std::vector(kFlatBlock, 1.0f), blocks_of({{1, false}}));
    std::vector<std::string> names;
    for (const Optimizer::State& state : whole.optimizer.state()) names.push_back(state.name);
    EXPECT_EQ(names, states);
    whole.update({0.1f, 1}, gradients);
    Trained resumed(exec(), spec, whole.weights(), blocks_of({{1, false}}));
    for (size_t i = 0; i < names.size(); ++i)
      to_backend(exec(), resumed.optimizer.state()[i].values, whole.state(i));
    whole.update({0.1f, 2}, gradients);
    resumed.update({0.1f, 2}, gradients);
    EXPECT_EQ(whole.weights(), resumed.weights()) << spec.name;
  }
}

TEST_P(OptimizerTest, ALargeModelIsUpdatedToItsLastWeight) {
  // More groups of four floats than a grid of kernels has threads.
  constexpr size_t kSize = 4 * 1024 * 256 + 3 * kFlatBlock;
  std::vector<float> start(kSize), gradients(kSize), expected(kSize);
  for (size_t i = 0; i < kSize; ++i) {
    start[i] = static_cast<float>(i % 1000);
    gradients[i] = static_cast<float>(i % 7) - 3.0f;
    expected[i] = start[i] - 0.5f * gradients[i];
  }
  OptimizerSpec spec;
  spec.name = "sgd";
  Trained trained(exec(), spec, start, blocks_of({{kSize / kFlatBlock, false}}));
  trained.update({0.5f, 1}, gradients, /*judges=*/false);
  EXPECT_TRUE(same_bits(trained.weights(), expected));
}

TEST_P(OptimizerTest, WhatIsNoNumberReachesTheWeights) {
  for (const Case& test_case : all_cases()) {
    SCOPED_TRACE(testing::PrintToString(test_case));
    OptimizerSpec spec;
    spec.name = test_case.name;
    spec.momentum = test_case.momentum;
    spec.nesterov = test_case.nesterov;
    std::vector<float> gradients(2 * kFlatBlock);
    gradients[7] = std::numeric_limits<float>::quiet_NaN();
    Trained trained(exec(), spec, std::vector(2 * kFlatBlock, 1.0f), blocks_of({{2, false}}));
    trained.update({0.1f, 1}, gradients);
    std::vector<float> weights = trained.weights();
    EXPECT_TRUE(std::isnan(weights[7]));
    weights[7] = 1;
    EXPECT_THAT(weights, testing::Each(1.0f));

    // The length of all gradients is no number either, and clips every one of them.
    spec.clip_norm = 1;
    Trained clipped(exec(), spec, std::vector(2 * kFlatBlock, 1.0f), blocks_of({{2, false}}));
    clipped.update({0.1f, 1}, gradients);
    EXPECT_THAT(clipped.weights(), testing::Each(testing::IsNan()));
    // An infinite gradient is clipped to 0 times infinity, and the others to 0.
    gradients[7] = std::numeric_limits<float>::infinity();
    Trained infinite(exec(), spec, std::vector(2 * kFlatBlock, 1.0f), blocks_of({{2, false}}));
    infinite.update({0.1f, 1}, gradients);
    EXPECT_TRUE(std::isnan(infinite.weights()[7]));
  }
}

TEST_P(OptimizerTest, AnEmptyModelIsUpdatedToo) {
  Trained empty(exec(), {.name = "adam"}, {}, {});
  EXPECT_EQ(empty.update({0.1f, 1}, {}), 0.0f);
  EXPECT_EQ(empty.weights(), std::vector<float>{});
}

std::string error_of(const OptimizerSpec& spec) {
  try {
    Optimizer({}, spec, {});
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    return error.what();
  }
  return "no error";
}

TEST(Optimizer, SaysWhichKeyIsWrong) {
  EXPECT_THAT(error_of({.name = "adm"}), HasSubstr("unknown optimizer.name 'adm'. Did you mean 'adam'?"));
  EXPECT_THAT(error_of({.lr = -1}), HasSubstr("optimizer.lr = -1 must be"));
  EXPECT_THAT(error_of({.lr = std::nan("")}), HasSubstr("optimizer.lr = nan must be"));
  EXPECT_THAT(error_of({.name = "sgd", .momentum = 1}), HasSubstr("optimizer.momentum = 1 must be"));
  EXPECT_THAT(error_of({.name = "sgd", .nesterov = true}),
              HasSubstr("optimizer.nesterov = true needs an optimizer.momentum above 0"));
  EXPECT_THAT(error_of({.beta1 = 1}), HasSubstr("optimizer.beta1 = 1 must be"));
  EXPECT_THAT(error_of({.beta2 = -0.1}), HasSubstr("optimizer.beta2 = -0.1 must be"));
  EXPECT_THAT(error_of({.alpha = 2}), HasSubstr("optimizer.alpha = 2 must be"));
  EXPECT_THAT(error_of({.epsilon = -1e-8}), HasSubstr("optimizer.epsilon = -1e-08 must be"));
  EXPECT_THAT(error_of({.trust = -1}), HasSubstr("optimizer.trust = -1 must be"));
  EXPECT_THAT(error_of({.weight_decay = -1}), HasSubstr("optimizer.weight_decay = -1 must be"));
  EXPECT_THAT(error_of({.clip_norm = -1}), HasSubstr("optimizer.clip_norm = -1 must be"));
}

}  // namespace
}  // namespace lockstep
