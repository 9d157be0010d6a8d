#include "src/core/background_task.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <stdexcept>

#include "src/core/error.h"

namespace lockstep {
namespace {

TEST(BackgroundTask, RunsWhileItsOwnerDoesOtherThings) {
  BackgroundTask task;
  task.wait();  // nothing was started: there is nothing to wait for
  std::promise<void> gate;
  std::atomic<int> done = 0;
  task.start([&] {
    gate.get_future().wait();
    ++done;
  });
  task.check();
  EXPECT_EQ(done, 0);
  gate.set_value();
  task.start([&] { ++done; });  // waits for the one before
  EXPECT_GE(done, 1);
  task.wait();
  EXPECT_EQ(done, 2);
}

TEST(BackgroundTask, SaysOnceThatItFailed) {
  BackgroundTask task;
  task.start([] { throw Error(ExitCode::data, "the disk is full"); });
  try {
    task.wait();
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::data);
    EXPECT_STREQ(error.what(), "the disk is full");
  }
  task.wait();
  bool ran = false;
  task.start([&] { ran = true; });
  task.wait();
  EXPECT_TRUE(ran) << "it continues after a failure";

  task.start([] { throw std::runtime_error("first"); });
  EXPECT_THROW(task.start([] {}), std::runtime_error) << "not lost when the next one is started";
}

TEST(BackgroundTask, CheckDoesNotWaitButTellsOfAFailureLater) {
  BackgroundTask task;
  std::promise<void> gate;
  task.start([&] {
    gate.get_future().wait();
    throw std::runtime_error("late");
  });
  task.check();
  gate.set_value();
  EXPECT_THROW(for (;;) task.check(), std::runtime_error);
}

TEST(BackgroundTask, EndsItsWorkBeforeItEnds) {
  auto done = std::make_shared<std::atomic<bool>>(false);
  const auto slow = [done] {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    *done = true;
    throw std::runtime_error("this is discarded");
  };
  {
    BackgroundTask task;
    task.start(slow);
  }
  EXPECT_TRUE(done->load());
  *done = false;
  try {
    BackgroundTask task;
    task.start(slow);
    throw Error(ExitCode::lost, "on its way out");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::lost);
  }
  EXPECT_TRUE(done->load()) << "also while an exception passes";
}

}  // namespace
}  // namespace lockstep
