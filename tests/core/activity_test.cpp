#include "src/core/activity.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <thread>
#include <vector>

namespace lockstep {
namespace {

TEST(Activity, TellsTheStepThePhaseAndItsNumber) {
  Activity here;
  EXPECT_EQ(here.snapshot().phase, Phase::setup);
  EXPECT_EQ(here.snapshot().step, 0);
  EXPECT_EQ(here.snapshot().number, -1);
  here.start_step(int64_t{1} << 40);
  here.enter(Phase::compute, 0);
  EXPECT_EQ(here.snapshot().step, int64_t{1} << 40);
  EXPECT_EQ(here.snapshot().phase, Phase::compute);
  EXPECT_EQ(here.snapshot().number, 0);
  here.enter(Phase::evaluate, (int64_t{1} << 48) - 2);
  EXPECT_EQ(here.snapshot().phase, Phase::evaluate);
  EXPECT_EQ(here.snapshot().number, (int64_t{1} << 48) - 2);
  here.enter(Phase::ended);
  EXPECT_EQ(here.snapshot().number, -1);
}

TEST(Activity, EverythingThatIsDoneIsProgress) {
  const auto progress = [] { return activity().snapshot().progress; };
  std::set<uint64_t> seen = {progress()};
  const auto grew = [&] { return seen.insert(progress()).second && *seen.rbegin() == progress(); };
  activity().enter(Phase::compute, 1);
  EXPECT_TRUE(grew());
  activity().enter(Phase::compute, 1);
  EXPECT_TRUE(grew());
  activity().progress();
  EXPECT_TRUE(grew());
  {
    const CollectiveScope sum(3);
    grew();
    EXPECT_FALSE(grew()) << "nothing was done";
  }
  EXPECT_TRUE(grew());
  {
    const FileActivity reading("a.h5");
    grew();
    EXPECT_FALSE(grew());
  }
  EXPECT_TRUE(grew());
}

TEST(Activity, APhaseEndsWithItsScope) {
  activity().enter(Phase::report, 5);
  {
    const PhaseScope saving(Phase::checkpoint);
    EXPECT_EQ(activity().snapshot().phase, Phase::checkpoint);
    {
      const PhaseScope waiting(Phase::wait);
      EXPECT_EQ(activity().snapshot().phase, Phase::wait);
    }
    EXPECT_EQ(activity().snapshot().phase, Phase::checkpoint);
  }
  EXPECT_EQ(activity().snapshot().phase, Phase::report);
  EXPECT_EQ(activity().snapshot().number, 5);
}

TEST(Activity, ACollectiveHidesWhatTheOtherThreadsDo) {
  activity().enter(Phase::compute, 1);
  {
    const CollectiveScope sum(7);
    std::thread([] { activity().enter(Phase::compute, 2); }).join();
    EXPECT_EQ(activity().snapshot().phase, Phase::collective);
    EXPECT_EQ(activity().snapshot().number, 7);
    { const CollectiveScope another; }
    EXPECT_EQ(activity().snapshot().phase, Phase::collective) << "the first continues";
  }
  EXPECT_EQ(activity().snapshot().phase, Phase::compute);
  EXPECT_EQ(activity().snapshot().number, 2);
}

TEST(Activity, TellsTheOldestOpenFileOperation) {
  EXPECT_EQ(activity().snapshot().file, "");
  auto first = std::make_unique<FileActivity>("a.h5", "/train/x", 128, 64);
  EXPECT_EQ(activity().snapshot().file, "a.h5:/train/x, rows 128 to 191");
  std::vector<std::unique_ptr<FileActivity>> others;
  std::thread([&] { others.push_back(std::make_unique<FileActivity>("b.h5", "/x", 0, 0)); }).join();
  others.push_back(std::make_unique<FileActivity>("runs/x/checkpoints/best.h5"));
  EXPECT_EQ(activity().snapshot().file, "a.h5:/train/x, rows 128 to 191") << "it has taken the longest";
  const uint64_t before = activity().snapshot().progress;
  first->move_to(192, 8);
  EXPECT_EQ(activity().snapshot().file, "a.h5:/train/x, rows 192 to 199");
  EXPECT_GT(activity().snapshot().progress, before);
  first.reset();
  EXPECT_EQ(activity().snapshot().file, "b.h5:/x");
  others.erase(others.begin());
  EXPECT_EQ(activity().snapshot().file, "runs/x/checkpoints/best.h5");
  others.clear();
  EXPECT_EQ(activity().snapshot().file, "");
}

TEST(Activity, EachPhaseHasItsWords) {
  std::set<std::string> words;
  for (int phase = 0; phase <= static_cast<int>(Phase::ended); ++phase)
    words.insert(describe(static_cast<Phase>(phase), -1));
  EXPECT_EQ(words.size(), static_cast<size_t>(Phase::ended) + 1);
  EXPECT_FALSE(words.contains("is unknown"));
  EXPECT_EQ(describe(Phase::collective, 3), "reduces bucket 3");
  EXPECT_EQ(describe(Phase::wait, 3), "waits for the other ranks");
}

}  // namespace
}  // namespace lockstep
