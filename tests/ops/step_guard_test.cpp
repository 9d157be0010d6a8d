#include "src/ops/step_guard.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "tests/support/harness/op_case.h"

namespace lockstep::test {
namespace {

double bits_of(float value) { return std::bit_cast<int32_t>(value); }

/// statistics: all 1, but one of them. guard: bad steps in a row, whether the newest applies, the bits of the
/// scale of the loss, and the good steps since that has changed.
OpCase judge_case(double loss, double norm, const Doubles& statistics, const Doubles& guard,
                  float scale = 0) {
  OpCase op;
  op.input("loss", {1}, exactly({loss}));
  op.input("statistics", {static_cast<int64_t>(statistics.size())}, exactly(statistics));
  op.state("verdict", {5}, exactly({norm, -1, -1, -1, -1}), kExact);
  op.state("guard", {4}, exactly({guard[0], guard[1], bits_of(scale), 5}), kExact, DType::i32);
  op.runs([](const OpCall& c) {
    const auto count = static_cast<size_t>(c["statistics"].shape().elements());
    judge_step(c.exec, c["loss"].data<float>(), {c["statistics"].data<float>(), count}, 10,
               static_cast<StepVerdict*>(c["verdict"].raw()), static_cast<StepGuard*>(c["guard"].raw()));
  });
  op.oracle = [scale](const Values& in) {
    bool values_finite = std::isfinite(in["loss"][0]);
    for (const double statistic : in["statistics"]) values_finite = values_finite && std::isfinite(statistic);
    const bool norm_finite = std::isfinite(in["verdict"][0]);
    const bool overflowed = values_finite && !norm_finite && scale > 1;
    const bool is_bad = !overflowed && !(values_finite && norm_finite);
    const float next = overflowed ? scale / 2 : scale;
    const double good = scale == 0 ? 5 : overflowed ? 0 : 6;
    return Values{{"verdict", {in["verdict"][0], is_bad ? 1. : 0., overflowed ? 1. : 0., next, good}},
                  {"guard",
                   {is_bad       ? in["guard"][0] + 1
                    : overflowed ? in["guard"][0]
                                 : 0,
                    is_bad || overflowed ? 0. : 1., bits_of(next), good}}};
  };
  return op;
}

const RegisterOp kStepGuard("step_guard", [](Op& op) {
  const struct {
    const char* name;
    double loss, norm;
    size_t place;  // in the statistics
    double statistic;
  } cases[] = {{"finite", 1, 2, 0, 3},
               {"finite and large", -1e38, 3e38, 599, -3e38},
               {"loss NaN", kNaN, 2, 0, 3},
               {"loss infinite", -kInfinity, 2, 0, 3},
               {"norm NaN", 1, kNaN, 0, 3},
               {"norm infinite", 1, kInfinity, 0, 3},
               {"first statistic NaN", 1, 2, 0, kNaN},
               {"last statistic infinite", 1, 2, 599, kInfinity},
               {"a statistic infinite", 1, 2, 300, -kInfinity}};
  for (const auto& [name, loss, norm, place, statistic] : cases) {
    Doubles statistics(600, 1.0);
    statistics[place] = statistic;
    op.add(name, judge_case(loss, norm, statistics, {0, 1}));
  }
  op.add("a model without statistics", judge_case(1, 2, {}, {3, 0}));
  op.add("a good step with a scaled loss", judge_case(1, 2, {1}, {0, 1}, 0x1p10f));
  op.add("gradients overflow", judge_case(1, kInfinity, {1}, {2, 0}, 0x1p10f));
  op.add("gradients overflow without a scale", judge_case(1, kInfinity, {1}, {0, 1}, 1));
  op.add("the loss itself overflows", judge_case(kInfinity, kNaN, {1}, {0, 1}, 0x1p10f));
  op.add("a statistic overflows", judge_case(1, kNaN, {kInfinity}, {0, 1}, 0x1p10f));
});

TEST(StepGuardRule, AGoodStepStartsTheCountAgainUnlessThereWereTooMany) {
  StepGuard guard;
  const auto judge = [&](bool is_bad) {
    guard.judge(is_bad, /*overflowed=*/false, 2);
    return guard.applies;
  };
  EXPECT_EQ(judge(false), 1);
  EXPECT_EQ(judge(true), 0);
  EXPECT_EQ(judge(false), 1);
  EXPECT_EQ(judge(true), 0);
  EXPECT_EQ(judge(true), 0);
  for (const bool is_bad : {false, true, false, false}) EXPECT_EQ(judge(is_bad), 0);
}

TEST(LossScaleRule, HalvesAfterAnOverflowAndDoublesAfterManyGoodSteps) {
  LossScale scale{.factor = LossScale::kInitial};
  scale.after_step(/*overflowed=*/true);
  EXPECT_EQ(scale.factor, LossScale::kInitial / 2);
  for (int32_t step = 1; step < LossScale::kGrowthSteps; ++step) scale.after_step(false);
  EXPECT_EQ(scale.factor, LossScale::kInitial / 2);
  scale.after_step(false);
  EXPECT_EQ(scale.factor, LossScale::kInitial);
  EXPECT_EQ(scale.good_steps, 0);
}

TEST(LossScaleRule, StaysWithinItsLimits) {
  LossScale scale{.factor = LossScale::kMax};
  for (int32_t step = 0; step < LossScale::kGrowthSteps; ++step) scale.after_step(false);
  EXPECT_EQ(scale.factor, LossScale::kMax);
  for (int step = 0; step < 100; ++step) scale.after_step(true);
  EXPECT_EQ(scale.factor, LossScale::kMin);
  EXPECT_FALSE(scale.may_overflow());
  LossScale none;
  none.after_step(true);
  EXPECT_EQ(none.factor, 0);
}

OpCase unscale_case(int64_t count, float scale) {
  OpCase op;
  op.input("guard", {4}, exactly({0, 1, bits_of(scale), 0}), DType::i32);
  op.state("gradients", {count}, {}, kExact);
  op.pointers = {"guard", "gradients"};
  op.runs([](const OpCall& c) {
    unscale(c.exec, static_cast<const StepGuard*>(c["guard"].raw()),
            {c["gradients"].data<float>(), static_cast<size_t>(c["gradients"].elements())});
  });
  op.oracle = [scale](const Values& in) {
    Doubles gradients = in["gradients"];
    for (double& value : gradients) value /= double{scale};
    return Values{{"gradients", gradients}};
  };
  return op;
}

const RegisterOp kUnscale("unscale", [](Op& op) {
  for (const float scale : {1.0f, 0x1p16f})
    op.add(fmt::format("scale {}", scale), 1000,
           [scale](int64_t count) { return unscale_case(count, scale); });
});

}  // namespace
}  // namespace lockstep::test
