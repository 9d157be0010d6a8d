#include "src/train/observe/data_pace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lockstep {
namespace {

using testing::HasSubstr;

/// The pace of a run whose steps of 100 samples each take 0.2 s, of which they wait this long, and whose
/// readers block and decode so long for each batch. The first steps are slow.
std::optional<DataPace> pace_of(double waited, double read, double decode, int threads) {
  DataPaceMeter meter(100, threads);
  Loader::Seconds input;
  std::optional<DataPace> found;
  int times = 0;
  for (int step = 0; step < 40; ++step) {
    const double slow = step < 4 ? 100 : 1;
    input.waited += slow * waited;
    input.read += slow * read;
    input.decode += slow * decode;
    if (const auto pace = meter.after_step(slow * 0.2, input)) {
      found = pace;
      ++times;
      EXPECT_EQ(step + 1, 4 + 16);
    }
  }
  EXPECT_EQ(times, 1);
  return found;
}

TEST(DataPaceMeter, ComparesWhatIsReadWithWhatIsTaken) {
  const auto fast = pace_of(/*waited=*/0, /*read=*/0.01, /*decode=*/0.04, /*threads=*/2);
  EXPECT_NEAR(fast->read_per_s, 4000, 1e-6);
  EXPECT_NEAR(fast->taken_per_s, 500, 1e-6);
  EXPECT_TRUE(fast->by_decoding);
  EXPECT_FALSE(is_held_up(*fast));
  EXPECT_EQ(pace_in_words(*fast, 2, 1),
            "reading: 4000 samples/s are possible (2 threads on each rank), the model takes 500");

  const auto slow = pace_of(/*waited=*/0.1, /*read=*/0.04, /*decode=*/0.16, /*threads=*/1);
  EXPECT_NEAR(slow->read_per_s, 500, 1e-6);
  EXPECT_NEAR(slow->taken_per_s, 1000, 1e-6);
  EXPECT_NEAR(slow->waited, 0.5, 1e-9);
  EXPECT_TRUE(is_held_up(*slow));
  EXPECT_EQ(
      pace_in_words(*slow, 1, 1),
      "steps wait 50 % of their time for data: 500 samples/s are read (1 thread on each rank), the model "
      "could take 1000. Raise data.threads (now 1), if there are free cores, or let `lockstep data repack` "
      "store what is decoded faster.");
}

TEST(DataPaceMeter, NamesWhatHelps) {
  const DataPace pace{.read_per_s = 3.14159, .taken_per_s = 12345, .waited = 0.9, .by_decoding = false};
  EXPECT_THAT(pace_in_words(pace, 2, 1),
              HasSubstr("3.1 samples/s are read (2 threads on each rank), the model could take 12000."));
  EXPECT_THAT(pace_in_words(pace, 2, 1), HasSubstr("data.stage"));
  EXPECT_THAT(pace_in_words(pace, 2, 40), HasSubstr("decodes 40.0 times what it uses: set data.shuffle"));
}

// Of a few quick steps too little is known.
TEST(DataPaceMeter, TakesTime) {
  DataPaceMeter meter(100, 1);
  for (int step = 0; step < 1000; ++step) EXPECT_FALSE(meter.after_step(0.001, {}));
}

}  // namespace
}  // namespace lockstep
