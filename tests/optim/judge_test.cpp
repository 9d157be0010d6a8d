#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>
#include <vector>

#include "src/device/replay.h"
#include "src/optim/optimizer.h"
#include "tests/optim/judged.h"
#include "tests/support/backend.h"
#include "tests/support/gradient_tree.h"

namespace lockstep {
namespace {

using test::BackendTest, test::Guarded;

class Judge : public BackendTest {
 protected:
  static constexpr size_t kSize = 70 * kFlatBlock;
  static Optimizer make_optimizer(Exec exec, const std::optional<OptimizerShare>& share = std::nullopt) {
    const std::vector<FlatBlock> blocks(kSize / kFlatBlock, FlatBlock{0, true});
    return {exec, {.name = "sgd", .clip_norm = 0.5}, blocks, share};
  }
  /// Of one rank, and of two, of which the first has all blocks.
  std::vector<std::optional<OptimizerShare>> shares() const {
    return {std::nullopt, OptimizerShare{.ranges = {{0, kSize}}, .ranks = 2}};
  }
};
INSTANTIATE_FOR_BACKENDS(Judge);

struct JudgedCase {
  const char* name;
  float loss, gradient;  // the last
  size_t place;          // in the statistics
  float statistic;
  StepGuard before = {};
};

TEST_P(Judge, AStepIsBadWhereAnythingIsNotFinite) {
  const JudgedCase cases[] = {
      {"finite", 1, 2, 0, 3},
      {"finite and large", -1e38f, 3e38f, 599, -3e38f},
      {"finite after bad ones", 1, 2, 0, 3, {.bad_in_a_row = 3, .applies = 0}},
      {"loss NaN", NAN, 2, 0, 3},
      {"loss infinite", -INFINITY, 2, 0, 3, {.bad_in_a_row = 2}},
      {"gradient NaN", 1, NAN, 0, 3},
      {"gradient infinite", 1, INFINITY, 0, 3},
      {"first statistic NaN", 1, 2, 0, NAN},
      {"last statistic infinite", 1, 2, 599, INFINITY},
      {"a statistic infinite", 1, 2, 300, -INFINITY},
      {"bad after too many", 1, NAN, 0, 3, {.bad_in_a_row = 10, .applies = 0}},
      {"good after too many", 1, 2, 0, 3, {.bad_in_a_row = 10, .applies = 0}},
      {"scaled", 1, 2, 0, 3, {.loss_scale = {0x1p10f, 5}}},
      {"scaled, gradients overflow", 1, INFINITY, 0, 3, {.bad_in_a_row = 2, .loss_scale = {0x1p10f, 5}}},
      {"gradients overflow at a scale of 1", 1, INFINITY, 0, 3, {.loss_scale = {1, 5}}},
      {"scaled, the loss overflows", INFINITY, NAN, 0, 3, {.loss_scale = {0x1p10f, 5}}},
      {"scaled, a statistic overflows", 1, NAN, 9, INFINITY, {.loss_scale = {0x1p10f, 5}}}};
  for (const JudgedCase& c : cases) {
    SCOPED_TRACE(c.name);
    std::vector<float> gradients(kSize, 0.5f), statistics(600, 1.0f);
    gradients.back() = c.gradient;
    statistics[c.place] = c.statistic;
    const Guarded<float> on_backend(exec(), {kSize}, gradients);
    double squares = static_cast<double>(c.gradient) * static_cast<double>(c.gradient) + 0.25 * (kSize - 1);
    if (c.before.loss_scale.factor > 0) squares /= std::pow(c.before.loss_scale.factor, 2);
    for (const auto& share : shares()) {
      Optimizer optimizer = make_optimizer(exec(), share);
      const Judged judged(exec(), c.before, c.loss, statistics);
      optimizer.judge(on_backend.span(), judged.step());
      const bool norm_finite = std::isfinite(c.gradient);
      const bool values_finite = std::isfinite(c.loss) && std::isfinite(c.statistic);
      const bool overflowed = values_finite && !norm_finite && c.before.loss_scale.factor > 1;
      const bool is_bad = !overflowed && !(values_finite && norm_finite);
      const StepVerdict verdict = judged.verdict();
      if (norm_finite)
        EXPECT_FLOAT_EQ(verdict.gradient_norm, static_cast<float>(std::sqrt(squares)));
      else
        EXPECT_FALSE(std::isfinite(verdict.gradient_norm));
      EXPECT_EQ(verdict.is_bad, is_bad ? 1 : 0);
      EXPECT_EQ(verdict.overflowed, overflowed ? 1 : 0);
      StepGuard expected = c.before;
      expected.judge(is_bad, overflowed, 10);
      const StepGuard guard = judged.guard();
      EXPECT_EQ(guard.bad_in_a_row, expected.bad_in_a_row);
      EXPECT_EQ(guard.applies, expected.applies);
      EXPECT_EQ(guard.loss_scale.factor, expected.loss_scale.factor);
      EXPECT_EQ(guard.loss_scale.good_steps, expected.loss_scale.good_steps);
      EXPECT_EQ(verdict.loss_scale, expected.loss_scale.factor);
      EXPECT_EQ(verdict.good_steps, static_cast<float>(expected.loss_scale.good_steps));
    }
  }
}

TEST_P(Judge, AModelWithoutStatisticsOrWeights) {
  Optimizer optimizer(exec(), {}, {});
  const Judged judged(exec(), {.bad_in_a_row = 3, .applies = 0});
  optimizer.judge({}, judged.step());
  EXPECT_EQ(judged.verdict().gradient_norm, 0);
  EXPECT_EQ(judged.verdict().is_bad, 0);
  EXPECT_EQ(judged.guard().applies, 1);
}

TEST_P(Judge, AStepIsJudgedByItsOwnGradientsAlone) {
  Guarded<float> gradients(exec(), {kSize});
  for (const auto& share : shares()) {
    Optimizer optimizer = make_optimizer(exec(), share), on_cpu = make_optimizer({});
    const Judged judged(exec());
    // As in training: once as it is, captured, and replayed.
    Replay replay(exec(), true, [&] { optimizer.judge(gradients.span(), judged.step()); });
    for (int step = 0; step < 5; ++step) {
      std::vector<float> values = made_up_gradient(step, kSize);
      if (step == 2) values[77] = NAN;
      gradients.set(values);
      replay.run();
      const Judged expected({});
      on_cpu.judge(values, expected.step());
      const float norm = judged.verdict().gradient_norm, of_cpu = expected.verdict().gradient_norm;
      if (step == 2)
        EXPECT_TRUE(std::isnan(norm));
      else
        EXPECT_EQ(norm, of_cpu) << "step " << step;
      EXPECT_EQ(judged.verdict().is_bad, step == 2 ? 1 : 0) << "step " << step;
    }
  }
}

TEST_P(Judge, ASumOfRanksIsOfAllAndBecomesZero) {
  // The other rank has the same gradients.
  const std::vector<float> values = made_up_gradient(3, kSize);
  const Guarded<float> gradients(exec(), {kSize}, values);
  const auto gather = [&](std::span<float> sums) {
    std::vector<float> all = test::from_backend(exec(), sums);
    const auto half = static_cast<std::ptrdiff_t>(all.size() / 2);
    std::copy(all.begin() + half, all.end(), all.begin());
    test::to_backend(exec(), sums, all);
  };
  Optimizer alone = make_optimizer({});
  const Judged one({}), two(exec());
  alone.judge(values, one.step());
  Optimizer shared =
      make_optimizer(exec(), OptimizerShare{.ranges = {{0, kSize}}, .ranks = 2, .slot = 1, .gather = gather});
  for (int step = 0; step < 3; ++step) {
    shared.judge(gradients.span(), two.step());
    EXPECT_FLOAT_EQ(two.verdict().gradient_norm, std::sqrt(2.0f) * one.verdict().gradient_norm);
  }
}

}  // namespace
}  // namespace lockstep
