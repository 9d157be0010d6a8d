#include "comm/reduce/round_reducer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>

#include "src/core/error.h"
#include "src/core/thread_pool.h"

namespace lockstep {
namespace {

/// The number of this lane in this call, spread over many magnitudes: the order of additions shows.
float number(int round, int call, int lane) {
  return static_cast<float>(1 + round) / 3.0f +
         static_cast<float>(1 << (5 * lane)) * static_cast<float>(call + 1);
}

TEST(RoundReducer, AddsTheLanesOfARoundInTheirOrder) {
  const auto communicator = make_self_communicator();
  RoundReducer reducer(*communicator);
  constexpr int kRounds = 20, kCalls = 5;
  for (const int lanes : {1, 2, 3, 4}) {
    ThreadPool pool(lanes);
    std::atomic<int> wrong = 0;
    for (int step = 0; step < 3; ++step) {
      reducer.begin();
      pool.run([&](int lane) {
        for (int round = 0; round < kRounds; ++round) {
          const int taking_part = round == kRounds - 1 ? std::max(1, lanes - 1) : lanes;
          if (lane >= taking_part) continue;
          for (int call = 0; call < kCalls; ++call) {
            std::vector<float> values(static_cast<size_t>(call), number(round, call, lane));
            reducer.sum({}, lane, taking_part, values);
            float expected = number(round, call, 0);
            for (int other = 1; other < taking_part; ++other) expected += number(round, call, other);
            for (const float value : values) wrong += value != expected;
          }
        }
      });
    }
    EXPECT_EQ(wrong, 0) << lanes << " lanes";
  }
}

TEST(RoundReducer, ALaneThatFailsEndsTheOthersWait) {
  const auto communicator = make_self_communicator();
  RoundReducer reducer(*communicator);
  ThreadPool pool(3);
  const auto run = [&](bool fails) {
    reducer.begin();
    std::atomic<int> ended_by_it = 0;
    pool.run([&](int lane) {
      std::vector<float> values(4, 1.0f);
      try {
        reducer.sum({}, lane, 3, values);
        if (fails && lane == 1) fail(ExitCode::data, "lane 1 gives up");
        reducer.sum({}, lane, 3, values);
      } catch (const Error& error) {
        EXPECT_STREQ(error.what(), "lane 1 gives up");
        ++ended_by_it;
        reducer.cancel(std::current_exception());
        return;
      }
      EXPECT_THAT(values, testing::Each(9.0f));
    });
    return ended_by_it.load();
  };
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(run(true), 3);
    EXPECT_EQ(run(false), 0) << "begin() forgets it";
  }
}

}  // namespace
}  // namespace lockstep
