#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "src/optim/optimizer.h"
#include "tests/optim/trained.h"

namespace lockstep {
namespace {

using test::BackendTest;

// Known answers of PyTorch 2.15
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

struct Trajectory {
  std::vector<float> weights;
  float norm = 0;
};

Trajectory five_steps(Exec exec, const OptimizerSpec& spec) {
  std::vector<float> start(kFlatBlock), gradients(kFlatBlock);
  start[0] = 0.5f, start[1] = -1.25f, start[2] = 2.0f;
  Trained trained(exec, spec, start, blocks_of({{1, true}}));
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

}  // namespace
}  // namespace lockstep
