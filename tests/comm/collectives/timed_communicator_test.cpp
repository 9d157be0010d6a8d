#include "comm/collectives/timed_communicator.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>
#include <vector>

namespace lockstep {
namespace {

using std::chrono::milliseconds;

/// Takes 4 ms to start a sum and 8 to wait for it.
class SlowCommunicator : public Communicator {
 public:
  int rank() const override { return 2; }
  int size() const override { return 3; }
  Slice slice_of(int, int64_t elements) const override { return {elements / 2, 1}; }
  void prepare(std::span<float>, int64_t longest) override { reserved = longest; }
  void start(Exec, const Collective& collective) override {
    std::this_thread::sleep_for(milliseconds(4));
    for (float& value : collective.data) value *= 2;
  }
  void wait(Exec) override { std::this_thread::sleep_for(milliseconds(8)); }
  void check() override { ++checks; }

  int64_t reserved = 0;
  int checks = 0;
};

TEST(TimedCommunicator, PassesEverythingOn) {
  auto inner = std::make_unique<SlowCommunicator>();
  SlowCommunicator& slow = *inner;
  TimedCommunicator timed(std::move(inner));
  EXPECT_EQ(timed.rank(), 2);
  EXPECT_EQ(timed.size(), 3);
  EXPECT_EQ(timed.slice(8), (Slice{4, 1}));
  timed.prepare({}, 7);
  timed.check();
  EXPECT_EQ(slow.reserved, 7);
  EXPECT_EQ(slow.checks, 1);
  std::vector<float> data = {1, 2};
  timed.start_all_reduce(Exec{}, data);
  EXPECT_EQ(data, (std::vector<float>{2, 4}));
}

TEST(TimedCommunicator, CountsOneLanesShareOfStartingAndAllOfWaiting) {
  TimedCommunicator timed(std::make_unique<SlowCommunicator>());
  std::vector<float> data(1);
  timed.start_all_reduce(Exec{}, data);
  timed.start_all_reduce(Exec{}, data);
  timed.wait(Exec{});
  EXPECT_GE(timed.take_seconds(2), 4e-3 + 8e-3);
  EXPECT_EQ(timed.take_seconds(2), 0) << "taken already";
  timed.start_all_reduce(Exec{}, data);
  EXPECT_GE(timed.take_seconds(1), 4e-3);
}

}  // namespace
}  // namespace lockstep
