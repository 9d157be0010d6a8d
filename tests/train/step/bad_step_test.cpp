#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "src/optim/optimizer.h"
#include "src/train/step/step.h"
#include "tests/train/tiny_run.h"

// Steps that are not finite.

namespace lockstep {
namespace {

class BadStepTest : public test::BackendTest {
 protected:
  static constexpr Batching kBatching{12, 4, 3};
  static TinyOptions options(const std::string& optimizer, bool capture, int32_t most = 10) {
    return {.clip_norm = optimizer == "sgd" ? 0.5 : 0.0,
            .capture = capture,
            .optimizer = optimizer,
            .float_inputs = true,
            .max_bad_steps = most};
  }
  /// The next step, with one pixel of one sample as given.
  static StepMetrics step_with(TinyRun& run, int64_t number, float pixel) {
    const TinyRun::HostBatch host = run.make_batch(number, 12);
    host.x.as<float>()[7 * 36 + 5] = pixel;
    run.run(host.batch);
    return *run.flush();
  }
  static StepMetrics good_step(TinyRun& run, int64_t number) {
    run.run(run.make_batch(number, 12).batch);
    return *run.flush();
  }
  /// Weights, statistics and optimizer state, to the bit.
  static std::vector<std::vector<std::byte>> everything(TinyRun& run) { return run.snapshot().storage; }
};
INSTANTIATE_FOR_BACKENDS(BadStepTest);

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST_P(BadStepTest, ChangesNothingAndTheRunGoesOnAsIfItHadNotBeen) {
  for (const std::string& optimizer : optimizer_names()) {
    for (const bool capture : {true, false}) {
      if (!capture && optimizer != "sgd") continue;
      TinyRun run(exec(), kBatching, options(optimizer, capture)),
          by_hand(exec(), kBatching, options(optimizer, capture));
      for (int64_t step = 0; step < 9; ++step) {
        if (step % 3 != 1) {
          const StepMetrics metrics = good_step(run, step);
          EXPECT_TRUE(metrics.is_finite);
          EXPECT_GT(metrics.gradient_norm, 0);
          EXPECT_EQ(metrics.loss, good_step(by_hand, step).loss) << optimizer << " " << step;
          continue;
        }
        const std::vector<std::vector<std::byte>> before = everything(run);
        EXPECT_FALSE(step_with(run, step, step == 4 ? kInfinity : kNaN).is_finite);
        by_hand.leave_out_step();
        EXPECT_EQ(everything(run), before) << optimizer << " " << step;
      }
      EXPECT_EQ(everything(run), everything(by_hand)) << optimizer;
    }
  }
}

TEST_P(BadStepTest, StatisticsAloneCount) {
  // The mean and the loss are finite; the variance is not.
  TinyRun run(exec(), kBatching, options("sgd", true));
  good_step(run, 0);
  const std::vector<float> before = run.states();
  const StepMetrics metrics = step_with(run, 1, 1e30f);
  EXPECT_TRUE(std::isfinite(metrics.loss));
  EXPECT_FALSE(metrics.is_finite);
  EXPECT_EQ(run.states(), before);
}

TEST_P(BadStepTest, TooManyInARowStopEverythingAtTheFirst) {
  TinyRun run(exec(), kBatching, options("adam", true, 2));
  good_step(run, 0);
  EXPECT_FALSE(step_with(run, 1, kNaN).is_finite);
  good_step(run, 2);  // so that the next two are the first in a row
  const std::vector<std::vector<std::byte>> before = everything(run);
  EXPECT_FALSE(step_with(run, 3, kNaN).is_finite);
  EXPECT_FALSE(step_with(run, 4, kNaN).is_finite);
  good_step(run, 5);
  EXPECT_EQ(everything(run), before);
}

TEST_P(BadStepTest, WithoutSkippingTheModelStaysAsTheFirstFoundIt) {
  TinyRun run(exec(), kBatching, options("sgd", true, 1));
  good_step(run, 0);
  const std::vector<std::vector<std::byte>> before = everything(run);
  EXPECT_FALSE(step_with(run, 1, kNaN).is_finite);
  good_step(run, 2);
  EXPECT_EQ(everything(run), before);
}

}  // namespace
}  // namespace lockstep
