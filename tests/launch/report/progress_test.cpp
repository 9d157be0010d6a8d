#include "launch/report/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "launch/report/report.h"

namespace lockstep {
namespace {

TEST(Progress, TheLineIsCutByWholeFieldsAndNeverWiderThanAsked) {
  const StepEvent event{.step = 513, .total_steps = 2345, .epoch = 2, .loss = 0.05123, .lr = 1e-3};
  EXPECT_EQ(progress_line(event, 7812.4, 42, 79),
            "epoch 2  step 513/2345  loss 0.0512  ETA 0:42  7,812 samples/s  lr 1.00e-03");
  EXPECT_EQ(progress_line(event, 7812.4, 42, 50), "epoch 2  step 513/2345  loss 0.0512  ETA 0:42");
  for (int columns = 0; columns < 90; ++columns)
    EXPECT_LE(progress_line(event, 7812.4, 42, columns).size(), static_cast<size_t>(columns));
}

TEST(Progress, ALineOfANarrowerTerminalIsErasedFromItsFirstRow) {
  EXPECT_EQ(erased_line(79, 80), "\r\x1b[J");
  EXPECT_EQ(erased_line(40, 40), "\r\x1b[J");
  EXPECT_EQ(erased_line(79, 40), "\x1b[1A\r\x1b[J");
  EXPECT_EQ(erased_line(79, 20), "\x1b[3A\r\x1b[J");
  EXPECT_EQ(erased_line(0, 80), "\r\x1b[J");
}

TEST(Progress, TimesAndSizesAreReadable) {
  EXPECT_EQ(readable_seconds(-1), "0:00");
  EXPECT_EQ(readable_seconds(59.6), "1:00");
  EXPECT_EQ(readable_seconds(3 * 3600 + 4 * 60 + 5), "3:04:05");
  EXPECT_EQ(readable_bytes(0), "0 B");
  EXPECT_EQ(readable_bytes(1023), "1023 B");
  EXPECT_EQ(readable_bytes(1536), "1.5 KiB");
  EXPECT_EQ(readable_count(0), "0");
  EXPECT_EQ(readable_count(999), "999");
  EXPECT_EQ(readable_count(1000), "1,000");
  EXPECT_EQ(readable_count(-1234567), "-1,234,567");
}

TEST(Progress, WarnsOfARankThatIsSlowForLongAndNotAtEachEpoch) {
  Progress progress(Environment{});
  const auto warnings = [&](auto tell) {
    testing::internal::CaptureStderr();
    tell();
    return testing::internal::GetCapturedStderr();
  };
  const auto epoch = [&](double seconds) {
    return warnings([&] { progress.epoch({.seconds = seconds, .straggler = "rank 3 is slow"}, 9); });
  };
  EXPECT_EQ(epoch(0.5), "") << "too short to tell";
  EXPECT_THAT(epoch(30), testing::HasSubstr("rank 3 is slow"));
  EXPECT_EQ(epoch(30), "") << "said a moment ago";
  const auto end = [&](double seconds) {
    return warnings([&] {
      progress.end({.reason = "finished", .cause = "", .seconds = seconds, .straggler = "rank 3 is slow"});
    });
  };
  EXPECT_EQ(end(3), "");
  EXPECT_THAT(end(60), testing::HasSubstr("over the whole run, rank 3 is slow"));
}

TEST(Report, WrapsAt80Columns) {
  EXPECT_EQ(wrapped("", 2), "  \n");
  const std::string word(30, 'x');
  EXPECT_EQ(wrapped(word + " " + word + " " + word, 4), "    " + word + " " + word + "\n    " + word + "\n");
}

}  // namespace
}  // namespace lockstep
