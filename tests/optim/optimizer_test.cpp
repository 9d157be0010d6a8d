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

namespace lockstep {
namespace {

using testing::HasSubstr;

// ---- Known answers of PyTorch 2.15
// --------------------------------------------------------------------------------- w = torch.tensor([0.5,
// -1.25, 2.0], requires_grad=True); o = MAKE([w]) for t in range(1, 6): w.grad = torch.tensor([0.1 * t, -0.3
// + 0.05 * t, 2.0 / t]); o.step() with MAKE as in the comments below, betas=(0.8, 0.95), alpha=0.9, eps=1e-6.

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

struct Trajectory {
  std::vector<float> weights;
  float norm = 0;
};

Trajectory five_steps(const OptimizerSpec& spec) {
  Buffer weights({}, Memory::device, kFlatBlock * sizeof(float));
  Buffer gradients({}, Memory::device, kFlatBlock * sizeof(float));
  const std::span<float> w = weights.as<float>(), g = gradients.as<float>();
  w[0] = 0.5f, w[1] = -1.25f, w[2] = 2.0f;
  const std::vector<uint8_t> decay = {1};
  Optimizer optimizer({}, spec, kFlatBlock, decay);
  Trajectory result;
  for (int t = 1; t <= 5; ++t) {
    const float time = static_cast<float>(t);
    g[0] = 0.1f * time, g[1] = -0.3f + 0.05f * time, g[2] = 2.0f / time;
    const OptimizerScalars scalars{static_cast<float>(spec.lr), t};
    optimizer.update(&scalars, w, g, &result.norm);
  }
  for (size_t i = 3; i < w.size(); ++i) EXPECT_EQ(w[i], 0.0f) << "padding changed at " << i;
  result.weights.assign(w.begin(), w.begin() + 3);
  return result;
}

void expect_near(const std::vector<float>& actual, const std::vector<float>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) EXPECT_NEAR(actual[i], expected[i], 2e-6) << "element " << i;
}

TEST(OptimizerAgainstPyTorch, Sgd) {  // SGD(lr=0.1, weight_decay=0.01)
  expect_near(five_steps(spec_named("sgd")).weights, {0.347704828f, -1.16896212f, 1.53463495f});
}

TEST(OptimizerAgainstPyTorch, SgdMomentum) {  // SGD(lr=0.1, momentum=0.9, weight_decay=0.01)
  OptimizerSpec spec = spec_named("sgd");
  spec.momentum = 0.9;
  expect_near(five_steps(spec).weights, {0.176918432f, -0.998477459f, 0.499824286f});
}

TEST(OptimizerAgainstPyTorch, SgdNesterov) {  // SGD(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01)
  OptimizerSpec spec = spec_named("sgd");
  spec.momentum = 0.9;
  spec.nesterov = true;
  expect_near(five_steps(spec).weights, {0.0574934483f, -0.943272769f, 0.188811988f});
}

TEST(OptimizerAgainstPyTorch, Adam) {  // Adam(lr=0.1, weight_decay=0.01)
  expect_near(five_steps(spec_named("adam")).weights, {0.00349918753f, -0.785472751f, 1.56979156f});
}

TEST(OptimizerAgainstPyTorch, AdamW) {  // AdamW(lr=0.1, weight_decay=0.1)
  OptimizerSpec spec = spec_named("adamw");
  spec.weight_decay = 0.1;
  expect_near(five_steps(spec).weights, {-0.0103948042f, -0.736020505f, 1.48239541f});
}

TEST(OptimizerAgainstPyTorch, Adagrad) {  // Adagrad(lr=0.1, weight_decay=0.01)
  expect_near(five_steps(spec_named("adagrad")).weights, {0.0915208235f, -1.00057328f, 1.78753829f});
}

TEST(OptimizerAgainstPyTorch, RmsProp) {  // RMSprop(lr=0.1, weight_decay=0.01)
  expect_near(five_steps(spec_named("rmsprop")).weights, {-0.816697478f, -0.437464356f, 1.29567015f});
}

TEST(OptimizerAgainstPyTorch, RmsPropMomentum) {  // RMSprop(lr=0.1, momentum=0.8, weight_decay=0.01)
  OptimizerSpec spec = spec_named("rmsprop");
  spec.momentum = 0.8;
  expect_near(five_steps(spec).weights, {-2.67209077f, 0.968465567f, 0.0584244654f});
}

TEST(OptimizerAgainstPyTorch, ClipByGlobalNorm) {  // clip_grad_norm_([w], 0.7) before SGD(lr=0.1)
  OptimizerSpec spec = spec_named("sgd");
  spec.weight_decay = 0;
  spec.clip_norm = 0.7;
  const Trajectory result = five_steps(spec);
  expect_near(result.weights, {0.364920557f, -1.19878709f, 1.71073687f});
  EXPECT_NEAR(result.norm, 0.642261624f, 1e-6);  // of the fifth gradient
}

// ---- A second implementation in double, one weight at a time
// -------------------------------------------------------

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

class OptimizerAgainstOracle : public testing::TestWithParam<Case> {};

TEST_P(OptimizerAgainstOracle, AgreesOverTwentySteps) {
  OptimizerSpec spec;
  spec.name = GetParam().name;
  spec.momentum = GetParam().momentum;
  spec.nesterov = GetParam().nesterov;
  spec.weight_decay = GetParam().weight_decay;
  spec.decay_all = GetParam().decay_all;
  spec.clip_norm = GetParam().clip_norm;
  constexpr int64_t kSize = 5 * kFlatBlock;
  const std::vector<uint8_t> decay = {1, 0, 0, 1, 0};
  Optimizer optimizer({}, spec, kSize, decay);
  std::vector<float> weights(kSize), gradients(kSize);
  std::vector<Oracle> oracles(kSize);
  RandomStream random(1, 2);
  for (size_t i = 0; i < weights.size(); ++i) {
    weights[i] = random.next_normal();
    oracles[i] = {spec, decay[i / kFlatBlock] != 0, static_cast<double>(weights[i]), 0, 0};
  }
  for (int t = 1; t <= 20; ++t) {
    double squares = 0;
    for (float& g : gradients) {
      g = random.next_normal();
      squares += static_cast<double>(g) * static_cast<double>(g);
    }
    const double clip =
        spec.clip_norm > 0 ? std::min(1.0, spec.clip_norm / (std::sqrt(squares) + 1e-6)) : 1.0;
    const OptimizerScalars scalars{0.01f / static_cast<float>(t), t};
    float norm = -1;
    optimizer.update(&scalars, weights, gradients, t % 2 == 0 ? &norm : nullptr);
    EXPECT_NEAR(norm, t % 2 == 0 ? std::sqrt(squares) : -1, 1e-4);
    for (size_t i = 0; i < weights.size(); ++i)
      oracles[i].step(static_cast<double>(scalars.lr), t, clip * static_cast<double>(gradients[i]));
  }
  for (size_t i = 0; i < weights.size(); ++i) ASSERT_NEAR(weights[i], oracles[i].w, 5e-6) << "element " << i;
}

INSTANTIATE_TEST_SUITE_P(All, OptimizerAgainstOracle,
                         testing::Values(Case{"sgd"}, Case{"sgd", 0.9}, Case{"sgd", 0.9, true, 0.1},
                                         Case{"sgd", 0, false, 0.1, true}, Case{"adam"},
                                         Case{"adam", 0, false, 0.1}, Case{"adamw", 0, false, 0.1},
                                         Case{"adamw", 0, false, 0.1, true, 2.5},
                                         Case{"adagrad", 0, false, 0.1}, Case{"rmsprop"},
                                         Case{"rmsprop", 0.5, false, 0.1, false, 3.0}));

// ---- The rest
// ------------------------------------------------------------------------------------------------------

TEST(Optimizer, StateIsNamedAndContinuesWhereItWasSaved) {
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
    const std::vector<uint8_t> decay = {0};
    Optimizer whole({}, spec, kFlatBlock, decay), resumed({}, spec, kFlatBlock, decay);
    std::vector<std::string> names;
    for (const Optimizer::State& state : whole.state()) names.push_back(state.name);
    EXPECT_EQ(names, states);
    std::vector<float> weights(kFlatBlock, 1.0f), gradients(kFlatBlock, 0.25f);
    const OptimizerScalars one{0.1f, 1}, two{0.1f, 2};
    whole.update(&one, weights, gradients, nullptr);
    for (size_t i = 0; i < names.size(); ++i)
      std::copy(whole.state()[i].values.begin(), whole.state()[i].values.end(),
                resumed.state()[i].values.begin());
    std::vector<float> copy = weights;
    whole.update(&two, weights, gradients, nullptr);
    resumed.update(&two, copy, gradients, nullptr);
    EXPECT_EQ(weights, copy) << name;
  }
}

TEST(Optimizer, NormIsTheSameBitsWhereverTheBufferLies) {
  std::vector<float> values(1000 + 7);
  RandomStream random(5, 5);
  for (float& v : values) v = random.next_normal();
  std::vector<float> moved(values.size() + 3);
  std::copy(values.begin(), values.end(), moved.begin() + 3);
  float a = 0, b = 0, none = -1, scale = -1;
  cpu::gradient_norm({}, values.data(), 1007, 0, nullptr, &a, nullptr);
  cpu::gradient_norm({}, moved.data() + 3, 1007, 0, nullptr, &b, &scale);
  EXPECT_EQ(a, b);
  EXPECT_EQ(scale, 1.0f);
  double squares = 0;
  for (const float v : values) squares += static_cast<double>(v) * static_cast<double>(v);
  EXPECT_NEAR(a, std::sqrt(squares), 1e-5);
  cpu::gradient_norm({}, values.data(), 0, 1, nullptr, &none, &scale);
  EXPECT_EQ(none, 0.0f);
  EXPECT_EQ(scale, 1.0f);
}

TEST(Optimizer, ANormThatIsNotANumberReachesTheWeights) {
  OptimizerSpec spec = spec_named("sgd");
  spec.clip_norm = 1;
  const std::vector<uint8_t> decay = {0};
  Optimizer optimizer({}, spec, kFlatBlock, decay);
  std::vector<float> weights(kFlatBlock, 1.0f), gradients(kFlatBlock, 0.0f);
  gradients[7] = std::numeric_limits<float>::quiet_NaN();
  const OptimizerScalars scalars{0.1f, 1};
  optimizer.update(&scalars, weights, gradients, nullptr);
  EXPECT_TRUE(std::isnan(weights[0]));
}

TEST(Optimizer, AnEmptyModelIsUpdatedToo) {
  Optimizer optimizer({}, spec_named("adam"), 0, {});
  const OptimizerScalars scalars{0.1f, 1};
  float norm = -1;
  optimizer.update(&scalars, {}, {}, &norm);
  EXPECT_EQ(norm, 0.0f);
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
