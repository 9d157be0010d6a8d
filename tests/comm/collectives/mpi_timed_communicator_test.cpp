#include <gtest/gtest.h>

#include <set>

#include "comm/collectives/timed_communicator.h"
#include "src/device/replay.h"
#include "tests/support/mpi_world.h"

namespace lockstep {
namespace {

class MpiTimedCommunicator : public MpiBackendTest {};
INSTANTIATE_FOR_BACKENDS(MpiTimedCommunicator);

TEST_P(MpiTimedCommunicator, MeasuresEveryStepAnew) {
  if (world.size() == 1) GTEST_SKIP() << "one rank";
  for (const bool capture : {false, true}) {
    TimedCommunicator communicator(make_communicator(world, exec(), {}));
    const Buffer buffer(exec(), Memory::device, 200000 * sizeof(float));
    const std::span<float> data = buffer.as<float>();
    communicator.prepare(data, 150000);
    Timestamp start(exec()), end(exec());
    Replay replay(exec(), capture, [&] {
      communicator.start_all_reduce(exec(), data.first(50000));
      communicator.start_all_reduce(exec(), data.subspan(50000));
      communicator.wait(exec());
    });
    std::set<double> different;
    double busy = communicator.busy_seconds();
    for (int step = 0; step < 4; ++step) {
      communicator.begin_step();
      communicator.take_seconds(1);
      start.record(Timestamp::Of::compute);
      replay.run();
      communicator.end_step();
      end.record(Timestamp::Of::compute);
      synchronize(exec());
      const double whole = end.seconds_since(start);
      double running = communicator.busy_seconds() - busy, exposed = communicator.take_seconds(1);
      busy += running;
      if (exec().on_cuda()) {
        const TimedCommunicator::DeviceSeconds seconds = communicator.device_seconds();
        running = seconds.running;
        exposed = seconds.exposed;
      }
      EXPECT_GT(running, 0) << "step " << step;
      EXPECT_GE(exposed, 0) << "step " << step;
      EXPECT_LE(exposed, whole * 1.001) << "step " << step;  // a GPU's clock is a float
      different.insert(running);
    }
    EXPECT_GT(different.size(), 1u) << "every step has the times of another";
  }
}

}  // namespace
}  // namespace lockstep
