#include "src/ops/step_guard.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/harness/op_case.h"

namespace lockstep::test {
namespace {

/// statistics: all 1, but one of them. guard: bad steps in a row, and whether the newest applies.
OpCase judge_case(double loss, double norm, const Doubles& statistics, const Doubles& guard) {
  OpCase op;
  op.input("loss", {1}, exactly({loss}));
  op.input("statistics", {static_cast<int64_t>(statistics.size())}, exactly(statistics));
  op.state("verdict", {2}, exactly({norm, -1}), kExact);
  op.state("guard", {2}, exactly(guard), kExact, DType::i32);
  op.runs([](const OpCall& c) {
    const auto count = static_cast<size_t>(c["statistics"].shape().elements());
    judge_step(c.exec, c["loss"].data<float>(), {c["statistics"].data<float>(), count}, 10,
               static_cast<StepVerdict*>(c["verdict"].raw()), static_cast<StepGuard*>(c["guard"].raw()));
  });
  op.oracle = [](const Values& in) {
    bool is_bad = !std::isfinite(in["loss"][0]) || !std::isfinite(in["verdict"][0]);
    for (const double statistic : in["statistics"]) is_bad = is_bad || !std::isfinite(statistic);
    return Values{{"verdict", {in["verdict"][0], is_bad ? 1. : 0.}},
                  {"guard", {is_bad ? in["guard"][0] + 1 : 0, is_bad ? 0. : 1.}}};
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
});

TEST(StepGuardRule, AGoodStepStartsTheCountAgainUnlessThereWereTooMany) {
  StepGuard guard;
  const auto judge = [&](bool is_bad) {
    guard.judge(is_bad, 2);
    return guard.applies;
  };
  EXPECT_EQ(judge(false), 1);
  EXPECT_EQ(judge(true), 0);
  EXPECT_EQ(judge(false), 1);
  EXPECT_EQ(judge(true), 0);
  EXPECT_EQ(judge(true), 0);
  for (const bool is_bad : {false, true, false, false}) EXPECT_EQ(judge(is_bad), 0);
}

}  // namespace
}  // namespace lockstep::test
