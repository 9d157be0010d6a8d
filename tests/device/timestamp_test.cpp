#include "src/device/timestamp.h"

#include <gtest/gtest.h>

#include <chrono>
#include <vector>

#include "src/device/elementwise.h"
#include "src/device/replay.h"
#include "tests/support/backend.h"
#ifdef LOCKSTEP_HAVE_CUDA
#include "src/device/cuda_context.h"
#endif

namespace lockstep {
namespace {

class TimestampTest : public test::BackendTest {};
INSTANTIATE_FOR_BACKENDS(TimestampTest);

TEST_P(TimestampTest, MeasuresWhatRunsBetweenTwoOfThem) {
  constexpr int64_t kElements = 1 << 20;
  const Buffer a(exec(), Memory::device, kElements * sizeof(float)), b(exec(), Memory::device, a.size());
  Timestamp origin(exec()), start(exec()), middle(exec()), end(exec());
  origin.record(Timestamp::Of::compute);
  synchronize(exec());
  for (const bool capture : {false, true}) {
    Replay replay(exec(), capture, [&] {
      start.record(Timestamp::Of::compute);
      middle.record(Timestamp::Of::compute);
      for (int i = 0; i < 4; ++i) add_in_place(exec(), a.as<float>().data(), b.as<float>().data(), kElements);
      end.record(Timestamp::Of::compute);
    });
    // A replayed step's times are its own, not those of the first.
    double earlier = 0;
    for (int run = 0; run < 4; ++run) {
      const auto host_start = std::chrono::steady_clock::now();
      replay.run();
      synchronize(exec());
      const std::chrono::duration<double> host = std::chrono::steady_clock::now() - host_start;
      const double seconds = end.seconds_since(middle);
      EXPECT_GT(seconds, 0) << "run " << run;
      EXPECT_LT(seconds, host.count()) << "run " << run;
      EXPECT_GE(end.seconds_since(start), seconds) << "run " << run;
      const double now = end.seconds_since(origin);
      EXPECT_GT(now, earlier) << "run " << run;
      earlier = now;
    }
  }
}

TEST_P(TimestampTest, TheStreamOfCommunicationHasItsOwn) {
  Timestamp before(exec()), after(exec());
  before.record(Timestamp::Of::compute);
  synchronize(exec());
  after.record(Timestamp::Of::communication);
#ifdef LOCKSTEP_HAVE_CUDA
  if (exec().on_cuda())
    exec().cuda->order(exec().cuda->communication_stream(), exec().cuda->compute_stream());
#endif
  synchronize(exec());
  EXPECT_GE(after.seconds_since(before), 0);
}

}  // namespace
}  // namespace lockstep
