#include "src/ops/step_guard.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/backend.h"

namespace lockstep {
namespace {

using test::Guarded, test::OnBackend;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

class StepGuardTest : public test::BackendTest {};
INSTANTIATE_FOR_BACKENDS(StepGuardTest);

TEST_P(StepGuardTest, AnyNumberThatIsNotFiniteMakesAStepBad) {
  const struct {
    float loss, norm;
    size_t place;  // in the statistics
    float statistic;
    bool is_bad;
  } cases[] = {{1, 2, 0, 3, false},          {-1e38f, 3e38f, 599, -3e38f, false},
               {kNaN, 2, 0, 3, true},        {-kInfinity, 2, 0, 3, true},
               {1, kNaN, 0, 3, true},        {1, kInfinity, 0, 3, true},
               {1, 2, 0, kNaN, true},        {1, 2, 599, kInfinity, true},
               {1, 2, 300, -kInfinity, true}};
  for (const auto& [loss, norm, place, statistic, is_bad] : cases) {
    std::vector<float> values(600, 1.0f);
    values[place] = statistic;
    const Guarded<float> losses(exec(), {1}, {loss}), statistics(exec(), {600}, values),
        verdict(exec(), {2}, {norm, -1});
    const Guarded<int32_t> guard(exec(), {2}, {0, 1});
    judge_step(exec(), losses.span().data(), statistics.span(), 10,
               reinterpret_cast<StepVerdict*>(verdict.span().data()),
               reinterpret_cast<StepGuard*>(guard.span().data()));
    EXPECT_EQ(verdict.values()[1], is_bad ? 1 : 0) << loss << " " << norm << " " << statistic;
    EXPECT_EQ(guard.values(), (is_bad ? std::vector<int32_t>{1, 0} : std::vector<int32_t>{0, 1}));
  }
}

TEST_P(StepGuardTest, AModelWithoutStatisticsHasNone) {
  const Guarded<float> loss(exec(), {1}, {1}), verdict(exec(), {2}, {2, -1});
  const Guarded<int32_t> guard(exec(), {2}, {3, 0});
  judge_step(exec(), loss.span().data(), {}, 10, reinterpret_cast<StepVerdict*>(verdict.span().data()),
             reinterpret_cast<StepGuard*>(guard.span().data()));
  EXPECT_EQ(guard.values(), (std::vector<int32_t>{0, 1}));
}

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
}  // namespace lockstep
