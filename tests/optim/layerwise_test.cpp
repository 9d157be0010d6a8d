#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <barrier>
#include <cmath>
#include <limits>
#include <thread>
#include <vector>

#include "src/optim/update_rules.h"
#include "tests/optim/trained.h"

namespace lockstep {
namespace {

using test::BackendTest;

/// LARS (You, Gitman and Ginsburg 2017, algorithm 1) and LAMB (You et al. 2020, algorithm 2, with Adam's bias
/// correction), in double.
struct LayerwiseOracle {
  OptimizerSpec spec;
  std::vector<FlatBlock> blocks;
  std::vector<double> w, m, v;

  void step(double lr, int t, const std::vector<float>& gradients) {
    double squares = 0;
    for (const float g : gradients) squares += static_cast<double>(g) * static_cast<double>(g);
    const double clip =
        spec.clip_norm > 0 ? std::min(1.0, spec.clip_norm / (std::sqrt(squares) + 1e-6)) : 1.0;
    for (size_t first = 0, end = 0; first < blocks.size(); first = end) {
      while (end < blocks.size() && blocks[end].parameter == blocks[first].parameter) ++end;
      const bool adapts = blocks[first].decays || spec.decay_all;
      parameter_step(lr, t, clip, adapts, first * kFlatBlock, end * kFlatBlock, gradients);
    }
  }

 private:
  void parameter_step(double lr, int t, double clip, bool adapts, size_t first, size_t end,
                      const std::vector<float>& gradients) {
    const double decay = adapts ? spec.weight_decay : 0;
    double squares_of_w = 0, squares_of_g = 0, squares_of_u = 0;
    std::vector<double> u(w.size());
    for (size_t i = first; i < end; ++i) {
      const double g = clip * static_cast<double>(gradients[i]);
      squares_of_w += w[i] * w[i];
      squares_of_g += g * g;
      if (spec.name == "lars") {
        u[i] = g + decay * w[i];
      } else {
        m[i] = spec.beta1 * m[i] + (1 - spec.beta1) * g;
        v[i] = spec.beta2 * v[i] + (1 - spec.beta2) * g * g;
        u[i] = m[i] / (1 - std::pow(spec.beta1, t)) /
                   (std::sqrt(v[i] / (1 - std::pow(spec.beta2, t))) + spec.epsilon) +
               decay * w[i];
      }
      squares_of_u += u[i] * u[i];
    }
    const double norm_of_w = std::sqrt(squares_of_w);
    double ratio = 1;
    if (spec.name == "lars" && adapts && squares_of_w > 0 && squares_of_g > 0)
      ratio = spec.trust * norm_of_w / (std::sqrt(squares_of_g) + decay * norm_of_w);
    if (spec.name == "lamb" && adapts && squares_of_w > 0 && squares_of_u > 0)
      ratio = norm_of_w / std::sqrt(squares_of_u);
    for (size_t i = first; i < end; ++i) {
      if (spec.name == "lars") {
        m[i] = spec.momentum * m[i] + lr * ratio * u[i];
        w[i] -= m[i];
      } else {
        w[i] -= lr * ratio * u[i];
      }
    }
  }
};

/// One short parameter after another, one that starts at zero, one that has no gradient, one as long as
/// several rounds of a kernel.
const std::vector<FlatBlock> kBlocks =
    blocks_of({{1, true}, {2, false}, {3, true}, {1, true}, {1, false}, {2, true}, {51, true}, {1, false}});
constexpr size_t kZero = 6 * kFlatBlock, kStill = 8 * kFlatBlock, kStillEnd = 10 * kFlatBlock;

std::vector<float> start_weights() {
  RandomStream random(1, 2);
  std::vector<float> weights(kBlocks.size() * kFlatBlock);
  for (float& w : weights) w = random.next_normal();
  std::fill_n(weights.begin() + kZero, kFlatBlock, 0.0f);
  return weights;
}

std::vector<float> gradients_of_step(int step) {
  RandomStream random(3, static_cast<uint64_t>(step));
  std::vector<float> gradients(kBlocks.size() * kFlatBlock);
  for (float& g : gradients) g = random.next_normal();
  std::fill(gradients.begin() + kStill, gradients.begin() + kStillEnd, 0.0f);
  return gradients;
}

bool is_layerwise(const UpdateRule& rule) { return rule.trust_ratio != TrustRatio::none; }
std::vector<std::string> layerwise_rules() { return rules_where(is_layerwise); }
std::vector<std::string> elementwise_rules() {
  return rules_where([](const UpdateRule& rule) { return !is_layerwise(rule); });
}

OptimizerSpec spec_of(const std::string& name) {
  OptimizerSpec spec;
  spec.name = name;
  spec.momentum = 0.9;
  spec.trust = 0.05;
  spec.weight_decay = 0.02;
  return spec;
}

std::vector<OptimizerSpec> layerwise_specs() {
  std::vector<OptimizerSpec> specs;
  for (const std::string& name : layerwise_rules()) {
    specs.push_back(spec_of(name));
    specs.push_back(spec_of(name));
    specs.back().clip_norm = 10;
    specs.push_back(spec_of(name));
    specs.back().weight_decay = 0;
    specs.back().momentum = 0;
    specs.push_back(spec_of(name));
    specs.back().decay_all = true;
  }
  return specs;
}

class Layerwise : public BackendTest {};
INSTANTIATE_FOR_BACKENDS(Layerwise);

TEST_P(Layerwise, AgreesWithTheOracleOverSixSteps) {
  for (const OptimizerSpec& spec : layerwise_specs()) {
    SCOPED_TRACE(spec.name + " decay " + std::to_string(spec.weight_decay) + " clip " +
                 std::to_string(spec.clip_norm));
    const std::vector<float> start = start_weights();
    Trained trained(exec(), spec, start, kBlocks);
    LayerwiseOracle oracle{spec, kBlocks, {start.begin(), start.end()}, {}, {}};
    oracle.m.resize(start.size());
    oracle.v.resize(start.size());
    for (int t = 1; t <= 6; ++t) {
      const Trained::Update update{0.1f / static_cast<float>(t), t};
      trained.update(update, gradients_of_step(t), /*judges=*/false);
      oracle.step(static_cast<double>(update.lr), t, gradients_of_step(t));
    }
    const std::vector<float> weights = trained.weights();
    for (size_t i = 0; i < weights.size(); ++i)
      ASSERT_NEAR(weights[i], oracle.w[i], 1e-5 * std::max(1.0, std::abs(oracle.w[i]))) << "element " << i;
  }
}

TEST_P(Layerwise, AParameterOfZerosAndOneWithoutGradientsMoveAsUnscaled) {
  OptimizerSpec spec = spec_of("lars");
  spec.weight_decay = 0;
  const std::vector<float> start = start_weights(), gradients = gradients_of_step(1);
  Trained trained(exec(), spec, start, kBlocks);
  trained.update({0.5f, 1}, gradients);
  const std::vector<float> weights = trained.weights();
  for (size_t i = kZero; i < kZero + kFlatBlock; ++i) ASSERT_EQ(weights[i], -0.5f * gradients[i]) << i;
  for (size_t i = kStill; i < kStillEnd; ++i) ASSERT_EQ(weights[i], start[i]) << i;
}

TEST_P(Layerwise, WhatIsNoNumberReachesAllOfItsParameter) {
  for (const std::string& name : layerwise_rules()) {
    const std::vector<FlatBlock> blocks = blocks_of({{2, true}, {1, true}});
    std::vector<float> gradients(blocks.size() * kFlatBlock, 0.5f);
    gradients[7] = std::numeric_limits<float>::quiet_NaN();
    Trained trained(exec(), spec_of(name), std::vector(gradients.size(), 1.0f), blocks);
    trained.update({0.1f, 1}, gradients);
    const std::vector<float> weights = trained.weights();
    const auto border = weights.begin() + 2 * kFlatBlock;
    EXPECT_THAT(std::vector(weights.begin(), border), testing::Each(testing::IsNan())) << name;
    EXPECT_THAT(std::vector(border, weights.end()), testing::Each(testing::Lt(1.0f))) << name;
  }
}

TEST_P(Layerwise, AModelWithNothingToAdaptIsTrained) {
  for (const std::string& name : layerwise_rules()) {
    Trained trained(exec(), spec_of(name), std::vector(kFlatBlock, 1.0f), blocks_of({{1, false}}));
    trained.update({0.125f, 1}, std::vector(kFlatBlock, 1.0f));
    EXPECT_THAT(trained.weights(), testing::Each(testing::FloatNear(0.875f, 1e-6f))) << name;
  }
}

// ---- Ranks that share the work

/// The blocks of a rank when they are dealt out in runs of different lengths.
std::vector<OptimizerShare::Range> ranges_of(int rank, int ranks) {
  std::vector<OptimizerShare::Range> ranges;
  const auto blocks = static_cast<int64_t>(kBlocks.size());
  int64_t first = 0;
  for (int64_t turn = 0; first < blocks; ++turn) {
    const int64_t count = std::min(blocks - first, turn % 5 * 4 + 1);
    if (turn % ranks == rank) ranges.push_back({first * kFlatBlock, count * kFlatBlock});
    first += count;
  }
  return ranges;
}

TEST_P(Layerwise, AShareIsUpdatedAndNothingElse) {
  for (const std::string& name : elementwise_rules()) {
    const std::vector<float> start = start_weights();
    Trained whole(exec(), spec_of(name), start, kBlocks);
    Trained part(exec(), spec_of(name), start, kBlocks,
                 OptimizerShare{.ranges = ranges_of(1, 3), .ranks = 3, .slot = 1});
    for (int t = 1; t <= 3; ++t) {
      whole.update({0.1f, t}, gradients_of_step(t), /*judges=*/false);
      part.update({0.1f, t}, gradients_of_step(t), /*judges=*/false);
    }
    const std::vector<float> trained = whole.weights();
    std::vector<float> expected = start, state;
    for (const OptimizerShare::Range& range : ranges_of(1, 3)) {
      std::copy_n(trained.begin() + range.offset, range.size, expected.begin() + range.offset);
      const std::vector<float> all = whole.state(0);
      state.insert(state.end(), all.begin() + range.offset, all.begin() + range.offset + range.size);
    }
    EXPECT_TRUE(same_bits(part.weights(), expected)) << name;
    EXPECT_TRUE(same_bits(part.state(0), state)) << name;
  }
}

/// Trains on some ranks, each of which is a thread and updates its share; returns what their shares make up.
std::vector<float> train_together(const OptimizerSpec& spec, int ranks, std::vector<float>* norms) {
  const std::vector<float> start = start_weights();
  std::vector<float> result(start.size()), gathered;
  std::barrier everyone(ranks);
  const auto train = [&](int rank) {
    const int slot = ranks - 1 - rank;
    const auto gather = [&, slot](std::span<float> data) {
      const size_t part = data.size() / static_cast<size_t>(ranks), first = static_cast<size_t>(slot) * part;
      if (rank == 0) gathered.assign(data.size(), 0);
      everyone.arrive_and_wait();
      std::ranges::copy(data.subspan(first, part), gathered.begin() + static_cast<int64_t>(first));
      everyone.arrive_and_wait();
      std::ranges::copy(gathered, data.begin());
      everyone.arrive_and_wait();
    };
    const std::vector<OptimizerShare::Range> ranges = ranges_of(rank, ranks);
    Trained trained({}, spec, start, kBlocks,
                    OptimizerShare{.ranges = ranges, .ranks = ranks, .slot = slot, .gather = gather});
    for (int t = 1; t <= 4; ++t) {
      const float norm = trained.update({0.1f, t}, gradients_of_step(t));
      if (rank == ranks - 1) norms->push_back(norm);
    }
    const std::vector<float> weights = trained.weights();
    for (const OptimizerShare::Range& range : ranges)
      std::copy_n(weights.begin() + range.offset, range.size, result.begin() + range.offset);
  };
  std::vector<std::jthread> threads;
  for (int rank = 0; rank < ranks; ++rank) threads.emplace_back(train, rank);
  threads.clear();  // waits for them
  return result;
}

TEST(LayerwiseOnRanks, HasTheSameBitsOnAnyNumberOfThem) {
  for (const std::string& name : optimizer_names()) {
    for (const double clip_norm : {0.0, 10.0}) {
      OptimizerSpec spec = spec_of(name);
      spec.clip_norm = clip_norm;
      Trained alone({}, spec, start_weights(), kBlocks);
      std::vector<float> expected_norms;
      for (int t = 1; t <= 4; ++t) expected_norms.push_back(alone.update({0.1f, t}, gradients_of_step(t)));
      for (const int ranks : {1, 2, 3, 7}) {
        std::vector<float> norms;
        EXPECT_TRUE(same_bits(train_together(spec, ranks, &norms), alone.weights())) << name << " " << ranks;
        EXPECT_TRUE(same_bits(norms, expected_norms)) << name << " " << ranks;
      }
    }
  }
}

}  // namespace
}  // namespace lockstep
