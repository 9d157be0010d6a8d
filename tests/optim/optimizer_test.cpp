#include "src/optim/optimizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>
#include <vector>

#include "src/core/error.h"
#include "src/core/rng.h"
#include "src/optim/optimizer_kernels.h"
#include "tests/support/backend.h"
#include "tests/support/gradient_tree.h"

namespace lockstep {
namespace {

using test::BackendTest, test::from_backend, test::Guarded, test::OnBackend, test::random_values,
    test::to_backend;
using testing::HasSubstr;

// ---- Known answers of PyTorch 2.15
//
// w = torch.tensor([0.5, -1.25, 2.0], requires_grad=True); o = MAKE([w])
// for t in range(1, 6): w.grad = torch.tensor([0.1 * t, -0.3 + 0.05 * t, 2.0 / t]); o.step()
//
// with MAKE as in the comments below, betas=(0.8, 0.95), alpha=0.9, eps=1e-6.

OptimizerSpec spec_named(const std::string& name) {
  OptimizerSpec spec;
  spec.name = name;
  spec.lr = 0.1;
  spec.beta1 = 0.8;
  spec.beta2 = 0.95;
  spec.alpha = 0.9;
  spec.epsilon = 1e-6;
  spec.weight_decay = 0.01;
  return spec;
}

/// Weights in the backend's memory and what trains them.
class Trained {
 public:
  Trained(Exec exec, const OptimizerSpec& spec, const std::vector<float>& weights,
          const std::vector<uint8_t>& decay)
      : optimizer(exec, spec, static_cast<int64_t>(weights.size()), decay),
        exec_(exec),
        weights_(exec, {static_cast<int64_t>(weights.size())}, weights),
        gradients_(exec, {static_cast<int64_t>(weights.size())}),
        norm_(exec, {1}, {-1.0f}) {}

  /// Returns the gradients' norm, or -1 if it was not asked for.
  float update(const OptimizerScalars& scalars, const std::vector<float>& gradients, bool wants_norm = true) {
    const OnBackend<OptimizerScalars> on_backend(exec_, scalars);
    gradients_.set(gradients);
    norm_.set({-1.0f});
    optimizer.update(on_backend.get(), weights_.span(), gradients_.span(),
                     wants_norm ? norm_.span().data() : nullptr);
    EXPECT_TRUE(same_bits(gradients_.values(), gradients)) << "gradients changed";
    return norm_.values()[0];
  }

  std::vector<float> weights() const { return weights_.values(); }
  std::vector<float> state(size_t i) const { return from_backend(exec_, optimizer.state()[i].values); }

  Optimizer optimizer;

 private:
  Exec exec_;
  Guarded<float> weights_, gradients_, norm_;
};

struct Trajectory {
  std::vector<float> weights;
  float norm = 0;
};

Trajectory five_steps(Exec exec, const OptimizerSpec& spec) {
  std::vector<float> start(kFlatBlock), gradients(kFlatBlock);
  start[0] = 0.5f, start[1] = -1.25f, start[2] = 2.0f;
  Trained trained(exec, spec, start, {1});
  Trajectory result;
  for (int t = 1; t <= 5; ++t) {
    const float time = static_cast<float>(t);
    gradients[0] = 0.1f * time, gradients[1] = -0.3f + 0.05f * time, gradients[2] = 2.0f / time;
    result.norm = trained.update({static_cast<float>(spec.lr), t}, gradients);
  }
  result.weights = trained.weights();
  for (size_t i = 3; i < result.weights.size(); ++i)
    EXPECT_EQ(result.weights[i], 0.0f) << "padding changed at " << i;
  result.weights.resize(3);
  return result;
}

void expect_near(const std::vector<float>& actual, const std::vector<float>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) EXPECT_NEAR(actual[i], expected[i], 2e-6) << "element " << i;
}

class OptimizerAgainstPyTorch : public BackendTest {};
INSTANTIATE_FOR_BACKENDS(OptimizerAgainstPyTorch);

TEST_P(OptimizerAgainstPyTorch, Sgd) {  // SGD(lr=0.1, weight_decay=0.01)
  expect_near(five_steps(exec(), spec_named("sgd")).weights, {0.347704828f, -1.16896212f, 1.53463495f});
}

TEST_P(OptimizerAgainstPyTorch, SgdMomentum) {  // SGD(lr=0.1, momentum=0.9, weight_decay=0.01)
  OptimizerSpec spec = spec_named("sgd");
  spec.momentum = 0.9;
  expect_near(five_steps(exec(), spec).weights, {0.176918432f, -0.998477459f, 0.499824286f});
}

TEST_P(OptimizerAgainstPyTorch, SgdNesterov) {  // SGD(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01)
  OptimizerSpec spec = spec_named("sgd");
  spec.momentum = 0.9;
  spec.nesterov = true;
  expect_near(five_steps(exec(), spec).weights, {0.0574934483f, -0.943272769f, 0.188811988f});
}

TEST_P(OptimizerAgainstPyTorch, Adam) {  // Adam(lr=0.1, weight_decay=0.01)
  expect_near(five_steps(exec(), spec_named("adam")).weights, {0.00349918753f, -0.785472751f, 1.56979156f});
}

TEST_P(OptimizerAgainstPyTorch, AdamW) {  // AdamW(lr=0.1, weight_decay=0.1)
  OptimizerSpec spec = spec_named("adamw");
  spec.weight_decay = 0.1;
  expect_near(five_steps(exec(), spec).weights, {-0.0103948042f, -0.736020505f, 1.48239541f});
}

TEST_P(OptimizerAgainstPyTorch, Adagrad) {  // Adagrad(lr=0.1, weight_decay=0.01)
  expect_near(five_steps(exec(), spec_named("adagrad")).weights, {0.0915208235f, -1.00057328f, 1.78753829f});
}

TEST_P(OptimizerAgainstPyTorch, RmsProp) {  // RMSprop(lr=0.1, weight_decay=0.01)
  expect_near(five_steps(exec(), spec_named("rmsprop")).weights, {-0.816697478f, -0.437464356f, 1.29567015f});
}

TEST_P(OptimizerAgainstPyTorch, RmsPropMomentum) {  // RMSprop(lr=0.1, momentum=0.8, weight_decay=0.01)
  OptimizerSpec spec = spec_named("rmsprop");
  spec.momentum = 0.8;
  expect_near(five_steps(exec(), spec).weights, {-2.67209077f, 0.968465567f, 0.0584244654f});
}

TEST_P(OptimizerAgainstPyTorch, ClipByGlobalNorm) {  // clip_grad_norm_([w], 0.7) before SGD(lr=0.1)
  OptimizerSpec spec = spec_named("sgd");
  spec.weight_decay = 0;
  spec.clip_norm = 0.7;
  const Trajectory result = five_steps(exec(), spec);
  expect_near(result.weights, {0.364920557f, -1.19878709f, 1.71073687f});
  EXPECT_NEAR(result.norm, 0.642261624f, 1e-6);  // of the fifth gradient
}

// ---- A second implementation in double, one weight at a time

/// From the papers: Polyak 1964, Nesterov 1983 as in Sutskever et al. 2013, Kingma and Ba 2015 (algorithm 1),
/// Loshchilov and Hutter 2019 (algorithm 2), Duchi et al. 2011, Tieleman and Hinton 2012.
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
    } else {
      first = spec.alpha * first + (1 - spec.alpha) * g * g;
      second = spec.momentum * second + g / (std::sqrt(first) + spec.epsilon);
      w -= lr * second;
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

const Case kCases[] = {{"sgd"},
                       {"sgd", 0.9},
                       {"sgd", 0.9, true, 0.1},
                       {"sgd", 0, false, 0.1, true},
                       {"adam"},
                       {"adam", 0, false, 0.1},
                       {"adamw", 0, false, 0.1},
                       {"adamw", 0, false, 0.1, true, 2.5},
                       {"adagrad", 0, false, 0.1},
                       {"rmsprop"},
                       {"rmsprop", 0.5, false, 0.1, false, 3.0}};

class OptimizerTest : public BackendTest {};
INSTANTIATE_FOR_BACKENDS(OptimizerTest);

void expect_agreement_over_twenty_steps(Exec exec, const Case& test_case) {
  SCOPED_TRACE(testing::PrintToString(test_case));
  OptimizerSpec spec;
  spec.name = test_case.name;
  spec.momentum = test_case.momentum;
  spec.nesterov = test_case.nesterov;
  spec.weight_decay = test_case.weight_decay;
  spec.decay_all = test_case.decay_all;
  spec.clip_norm = test_case.clip_norm;
  constexpr int64_t kSize = 5 * kFlatBlock;
  const std::vector<uint8_t> decay = {1, 0, 0, 1, 0};
  std::vector<float> weights(kSize), gradients(kSize);
  std::vector<Oracle> oracles(kSize);
  RandomStream random(1, 2);
  for (size_t i = 0; i < weights.size(); ++i) {
    weights[i] = random.next_normal();
    oracles[i] = {spec, decay[i / kFlatBlock] != 0, static_cast<double>(weights[i]), 0, 0};
  }
  Trained trained(exec, spec, weights, decay);
  for (int t = 1; t <= 20; ++t) {
    double squares = 0;
    for (float& g : gradients) {
      g = random.next_normal();
      squares += static_cast<double>(g) * static_cast<double>(g);
    }
    const double clip =
        spec.clip_norm > 0 ? std::min(1.0, spec.clip_norm / (std::sqrt(squares) + 1e-6)) : 1.0;
    const OptimizerScalars scalars{0.01f / static_cast<float>(t), t};
    const float norm = trained.update(scalars, gradients, t % 2 == 0);
    EXPECT_NEAR(norm, t % 2 == 0 ? std::sqrt(squares) : -1, 1e-4);
    for (size_t i = 0; i < weights.size(); ++i)
      oracles[i].step(static_cast<double>(scalars.lr), t, clip * static_cast<double>(gradients[i]));
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
  for (const Case& test_case : kCases) {
    expect_agreement_over_twenty_steps(exec(), test_case);
    if (HasFatalFailure()) return;
  }
}

// ---- The rest

TEST_P(OptimizerTest, StateIsNamedAndContinuesWhereItWasSaved) {
  for (const auto& [name, momentum, states] :
       std::vector<std::tuple<std::string, double, std::vector<std::string>>>{
           {"sgd", 0, {}},
           {"sgd", 0.9, {"momentum"}},
           {"adam", 0, {"m", "v"}},
           {"adagrad", 0, {"sum"}},
           {"rmsprop", 0, {"square_average"}},
           {"rmsprop", 0.9, {"square_average", "momentum"}}}) {
    OptimizerSpec spec;
    spec.name = name;
    spec.momentum = momentum;
    const std::vector<float> gradients(kFlatBlock, 0.25f);
    Trained whole(exec(), spec, std::vector(kFlatBlock, 1.0f), {0});
    std::vector<std::string> names;
    for (const Optimizer::State& state : whole.optimizer.state()) names.push_back(state.name);
    EXPECT_EQ(names, states);
    whole.update({0.1f, 1}, gradients);
    Trained resumed(exec(), spec, whole.weights(), {0});
    for (size_t i = 0; i < names.size(); ++i)
      to_backend(exec(), resumed.optimizer.state()[i].values, whole.state(i));
    whole.update({0.1f, 2}, gradients);
    resumed.update({0.1f, 2}, gradients);
    EXPECT_EQ(whole.weights(), resumed.weights()) << name;
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
  Trained trained(exec(), spec, start, std::vector<uint8_t>(kSize / kFlatBlock));
  trained.update({0.5f, 1}, gradients, /*wants_norm=*/false);
  EXPECT_TRUE(same_bits(trained.weights(), expected));
}

struct Norm {
  float norm, clip_scale;
};

/// Of these gradients, `offset` floats behind the start of an allocation.
Norm norm_of(Exec exec, std::vector<float> gradients, double clip_norm, size_t offset = 0) {
  const auto count = static_cast<int64_t>(gradients.size());
  gradients.insert(gradients.begin(), offset, 1e6f);
  const Guarded<float> values(exec, {count + static_cast<int64_t>(offset)}, gradients);
  const Guarded<float> norm(exec, {1}), scale(exec, {1});
  const Guarded<uint8_t> scratch(exec, {kNormScratch * static_cast<int64_t>(sizeof(double))});
  const auto compute = [&](float* norm_or_null, float* scale_or_null) {
    const float* const first = values.span().data() + offset;
    auto* const doubles = reinterpret_cast<double*>(scratch.span().data());
    if constexpr (kCuda) {
      if (exec.on_cuda())
        return cuda::gradient_norm(exec, first, count, clip_norm, doubles, norm_or_null, scale_or_null);
    }
    cpu::gradient_norm(exec, first, count, clip_norm, doubles, norm_or_null, scale_or_null);
  };
  compute(norm.span().data(), nullptr);
  compute(nullptr, scale.span().data());
  scratch.values();  // looks at its guards
  return {norm.values()[0], scale.values()[0]};
}

TEST_P(OptimizerTest, NormIsExactAndTheSameBitsWhereverTheBufferLies) {
  for (const int64_t count : {0, 1, 7, 255, 1007, 2048, 2049, 5003}) {  // a block of a kernel takes 2048
    const std::vector<float> values = random_values(count, 5);
    double squares = 0;
    for (const float v : values) squares += static_cast<double>(v) * static_cast<double>(v);
    const Norm result = norm_of(exec(), values, 0.5);
    EXPECT_FLOAT_EQ(result.norm, static_cast<float>(std::sqrt(squares))) << count;
    EXPECT_FLOAT_EQ(result.clip_scale, static_cast<float>(std::min(1.0, 0.5 / (std::sqrt(squares) + 1e-6))))
        << count;
    const Norm moved = norm_of(exec(), values, 0.5, 3);
    EXPECT_EQ(moved.norm, result.norm);
    EXPECT_EQ(moved.clip_scale, result.clip_scale);
    EXPECT_EQ(norm_of(exec(), values, 0).clip_scale, 1.0f) << "a clip_norm of 0 is none";
  }
}

TEST_P(OptimizerTest, NormIsAsLargeAsGradientsMayBe) {
  // Their squares pass what a float can hold.
  EXPECT_FLOAT_EQ(norm_of(exec(), std::vector(3000, 1e25f), 1).norm, 1e25f * std::sqrt(3000.0f));
  EXPECT_FLOAT_EQ(norm_of(exec(), std::vector(3000, 1e-30f), 1).norm, 1e-30f * std::sqrt(3000.0f));
}

TEST_P(OptimizerTest, NormOfNotANumberAndOfInfinity) {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const size_t at : {0, 31, 2999}) {
    std::vector<float> gradients(3000, 0.5f);
    gradients[at] = kNaN;
    EXPECT_TRUE(std::isnan(norm_of(exec(), gradients, 1).norm)) << at;
    EXPECT_TRUE(std::isnan(norm_of(exec(), gradients, 1).clip_scale)) << at;
    gradients[at] = -kInfinity;
    EXPECT_EQ(norm_of(exec(), gradients, 1).norm, kInfinity) << at;
    EXPECT_EQ(norm_of(exec(), gradients, 1).clip_scale, 0.0f) << at;
  }
}

TEST_P(OptimizerTest, WhatIsNoNumberReachesTheWeights) {
  for (const Case& test_case : kCases) {
    SCOPED_TRACE(testing::PrintToString(test_case));
    OptimizerSpec spec;
    spec.name = test_case.name;
    spec.momentum = test_case.momentum;
    spec.nesterov = test_case.nesterov;
    std::vector<float> gradients(2 * kFlatBlock);
    gradients[7] = std::numeric_limits<float>::quiet_NaN();
    Trained trained(exec(), spec, std::vector(2 * kFlatBlock, 1.0f), {0, 0});
    trained.update({0.1f, 1}, gradients);
    std::vector<float> weights = trained.weights();
    EXPECT_TRUE(std::isnan(weights[7]));
    weights[7] = 1;
    EXPECT_THAT(weights, testing::Each(1.0f));

    // The length of all gradients is no number either, and clips every one of them.
    spec.clip_norm = 1;
    Trained clipped(exec(), spec, std::vector(2 * kFlatBlock, 1.0f), {0, 0});
    clipped.update({0.1f, 1}, gradients);
    EXPECT_THAT(clipped.weights(), testing::Each(testing::IsNan()));
    // An infinite gradient is clipped to 0 times infinity, and the others to 0.
    gradients[7] = std::numeric_limits<float>::infinity();
    Trained infinite(exec(), spec, std::vector(2 * kFlatBlock, 1.0f), {0, 0});
    infinite.update({0.1f, 1}, gradients);
    EXPECT_TRUE(std::isnan(infinite.weights()[7]));
  }
}

TEST_P(OptimizerTest, AnEmptyModelIsUpdatedToo) {
  Trained empty(exec(), spec_named("adam"), {}, {});
  EXPECT_EQ(empty.update({0.1f, 1}, {}), 0.0f);
  EXPECT_EQ(empty.weights(), std::vector<float>{});
}

std::string error_of(const OptimizerSpec& spec) {
  try {
    Optimizer({}, spec, 0, {});
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
  EXPECT_THAT(error_of({.momentum = 0.9}), HasSubstr("applies to sgd and rmsprop, not to adam"));
  EXPECT_THAT(error_of({.name = "sgd", .nesterov = true}), HasSubstr("optimizer.nesterov needs"));
  EXPECT_THAT(error_of({.beta1 = 1}), HasSubstr("optimizer.beta1 = 1 must be"));
  EXPECT_THAT(error_of({.beta2 = -0.1}), HasSubstr("optimizer.beta2 = -0.1 must be"));
  EXPECT_THAT(error_of({.alpha = 2}), HasSubstr("optimizer.alpha = 2 must be"));
  EXPECT_THAT(error_of({.epsilon = -1e-8}), HasSubstr("optimizer.epsilon = -1e-08 must be"));
  EXPECT_THAT(error_of({.weight_decay = -1}), HasSubstr("optimizer.weight_decay = -1 must be"));
  EXPECT_THAT(error_of({.clip_norm = -1}), HasSubstr("optimizer.clip_norm = -1 must be"));
}

}  // namespace
}  // namespace lockstep
