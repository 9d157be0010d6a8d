#include "src/optim/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "src/core/error.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

void expect_rates(const Schedule& schedule, int64_t first, const std::vector<double>& expected) {
  for (size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(schedule.lr(first + static_cast<int64_t>(i)), expected[i], 1e-11) << "step " << i;
}

// Known answers of torch.optim.lr_scheduler (PyTorch 2.15): param_groups[0]["lr"] before each of the steps,
// from 0.4, or from 0.1 for the cycle.
TEST(ScheduleAgainstPyTorch, Step) {  // StepLR(o, 3, 0.5)
  const Schedule schedule({.name = "step", .gamma = 0.5, .every_steps = 3}, 0.4, 8);
  expect_rates(schedule, 0, {0.4, 0.4, 0.4, 0.2, 0.2, 0.2, 0.1, 0.1});
}

TEST(ScheduleAgainstPyTorch, Exponential) {  // ExponentialLR(o, 0.9)
  const Schedule schedule({.name = "exponential", .gamma = 0.9, .every_steps = 1}, 0.4, 8);
  expect_rates(schedule, 0, {0.4, 0.36, 0.324, 0.2916, 0.26244, 0.236196, 0.2125764, 0.19131876});
}

TEST(ScheduleAgainstPyTorch, Polynomial) {  // PolynomialLR(o, 8, 2.0)
  const Schedule schedule({.name = "polynomial", .power = 2}, 0.4, 8);
  expect_rates(schedule, 0, {0.4, 0.30625, 0.225, 0.15625, 0.1, 0.05625, 0.025, 0.00625});
}

TEST(ScheduleAgainstPyTorch, Cosine) {  // CosineAnnealingLR(o, 8, 0.1)
  const Schedule schedule({.name = "cosine", .final_lr = 0.1}, 0.4, 8);
  expect_rates(schedule, 0,
               {0.4, 0.388581929877, 0.356066017178, 0.307402514855, 0.25, 0.192597485145, 0.143933982822,
                0.111418070123});
}

// OneCycleLR(o, 1.0, total_steps=10, div_factor=10, final_div_factor=1e4, anneal_strategy="cos",
// cycle_momentum=False)
TEST(ScheduleAgainstPyTorch, OneCycle) {
  const std::vector<double> expected = {0.1,
                                        0.55,
                                        1.0,
                                        0.950484929107,
                                        0.81174678348,
                                        0.611264354373,
                                        0.388745645627,
                                        0.18826321652,
                                        0.0495250708931,
                                        1e-5};
  expect_rates(Schedule({.name = "one_cycle", .max_lr = 1}, 0.1, 10), 0, expected);
  expect_rates(Schedule({.name = "one_cycle"}, 0.1, 10), 0, expected);  // ten times lr is the standard
}

TEST(Schedule, WarmsUpThenStartsFromItsBeginning) {
  for (const std::string name : {"constant", "step", "exponential", "polynomial", "cosine", "one_cycle"}) {
    const Schedule warm({.name = name, .warmup_steps = 4, .every_steps = 2}, 0.8, 24);
    const Schedule cold({.name = name, .every_steps = 2}, 0.8, 20);
    expect_rates(warm, 0, {0.2, 0.4, 0.6, 0.8});
    for (int64_t step = 0; step < 20; ++step)
      EXPECT_EQ(warm.lr(step + 4), cold.lr(step)) << name << " " << step;
  }
}

TEST(Schedule, IsFiniteAndNeverNegativeAtAnyLength) {
  for (const std::string name : {"constant", "step", "exponential", "polynomial", "cosine", "one_cycle"}) {
    for (int64_t total = 0; total < 25; ++total) {
      for (int64_t warmup = 0; warmup < total; ++warmup) {
        const Schedule schedule({.name = name, .warmup_steps = warmup, .every_steps = 3, .power = 0.5}, 0.1,
                                total);
        for (int64_t step = 0; step < total + 5; ++step) {
          const double lr = schedule.lr(step);
          ASSERT_TRUE(std::isfinite(lr) && lr >= 0 && lr <= 1.0 + 1e-12)
              << name << " " << total << " " << step;
        }
      }
    }
  }
}

TEST(Schedule, EndsAtTheFinalRateAndStaysThere) {
  for (const std::string name : {"polynomial", "cosine"}) {
    const Schedule schedule({.name = name, .final_lr = 0.01}, 0.1, 50);
    EXPECT_GT(schedule.lr(49), 0.01);
    EXPECT_NEAR(schedule.lr(50), 0.01, 1e-15);
    EXPECT_NEAR(schedule.lr(1000), 0.01, 1e-15);
  }
}

std::string schedule_error(const ScheduleSpec& spec, int64_t total = 100) {
  try {
    Schedule(spec, 0.1, total);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    return error.what();
  }
  return "no error";
}

TEST(Schedule, SaysWhichKeyIsWrong) {
  EXPECT_THAT(schedule_error({.name = "cosin"}),
              HasSubstr("unknown schedule.name 'cosin'. Did you mean 'cosine'?"));
  EXPECT_THAT(schedule_error({.warmup_steps = 100}),
              HasSubstr("schedule.warmup_steps = 100 must be smaller than the 100 st"));
  EXPECT_THAT(schedule_error({.warmup_steps = -1}), HasSubstr("schedule.warmup_steps = -1"));
  EXPECT_THAT(schedule_error({.name = "step"}), HasSubstr("schedule.every_steps = 0 must be at least 1"));
  EXPECT_THAT(schedule_error({.name = "exponential", .gamma = -1, .every_steps = 1}),
              HasSubstr("schedule.gamma = -1"));
  EXPECT_THAT(schedule_error({.name = "polynomial", .power = 0}), HasSubstr("schedule.power = 0"));
  EXPECT_THAT(schedule_error({.name = "cosine", .final_lr = -0.1}), HasSubstr("schedule.final_lr = -0.1"));
  EXPECT_THAT(schedule_error({.name = "one_cycle", .max_lr = 0.05}),
              HasSubstr("schedule.max_lr = 0.05 must be at least"));
}

TEST(ScheduleTest, OfItsOwnLengthEndsThereWhateverTheRunDoes) {
  for (const std::string name : {"polynomial", "cosine", "one_cycle"}) {
    const Schedule run({.name = name}, 0.1, 8), own({.name = name, .steps = 8}, 0.1, 20);
    for (int64_t step = 0; step < 8; ++step) EXPECT_EQ(own.lr(step), run.lr(step)) << name << step;
    EXPECT_EQ(own.lr(8), own.lr(19)) << name;
    EXPECT_LT(own.lr(19), 1e-4) << name;
  }
  EXPECT_THROW(Schedule({.name = "cosine", .warmup_steps = 8, .steps = 8}, 0.1, 20), Error);
}

}  // namespace
}  // namespace lockstep
