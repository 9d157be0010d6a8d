#include "src/device/replay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "src/core/error.h"
#include "src/device/buffer.h"
#include "src/device/device.h"
#include "src/device/devices.h"
#include "src/device/elementwise.h"
#ifdef LOCKSTEP_HAVE_CUDA
#include "src/device/cuda_context.h"
#endif

namespace lockstep {
namespace {

TEST(Replay, CallsTheFunctionEachTimeOnTheCpu) {
  int calls = 0;
  Replay replay(Exec{}, true, [&] { ++calls; });
  for (int i = 0; i < 3; ++i) replay.run();
  EXPECT_EQ(calls, 3);
}

#ifdef LOCKSTEP_HAVE_CUDA

class CapturedReplay : public testing::Test {
 protected:
  void SetUp() override {
    const DeviceReport report = find_devices();
    if (report.gpus.empty()) GTEST_SKIP() << report.reason;
    device = std::make_unique<Device>(0);
    exec = device->exec();
    total = Buffer(exec, Memory::device, kCount * sizeof(float));
    step = Buffer(exec, Memory::device, kCount * sizeof(float));
  }

  void set_step(float value) {
    const std::vector<float> values(kCount, value);
    copy(exec, step.data(), values.data(), step.size());
    synchronize(exec);
  }

  std::vector<float> read_total() {
    std::vector<float> values(kCount);
    copy(exec, values.data(), total.data(), total.size());
    synchronize(exec);
    return values;
  }

  static constexpr int64_t kCount = 1001;
  std::unique_ptr<Device> device;
  Exec exec;
  Buffer total, step;
};

TEST_F(CapturedReplay, ReadsMemoryAsItIsAtEachRun) {
  int calls = 0;
  Replay replay(exec, true, [&] {
    ++calls;
    add_in_place(exec, total.as<float>().data(), step.as<float>().data(), kCount);
  });
  for (const float value : {1.0f, 10.0f, 100.0f, 1000.0f}) {
    set_step(value);
    replay.run();
  }
  EXPECT_EQ(calls, 2) << "once as it is, once for the capture";
  EXPECT_THAT(read_total(), testing::Each(1111.0f));
}

TEST_F(CapturedReplay, TakesStreamsAlongThatAreJoinedByEvents) {
  set_step(1.0f);
  CudaContext& context = *exec.cuda;
  Replay replay(exec, true, [&] {
    add_in_place(exec, total.as<float>().data(), step.as<float>().data(), kCount);
    context.order(context.compute_stream(), context.communication_stream());
    cuda::add_in_place(context.communication_stream(), total.as<float>().data(), step.as<float>().data(),
                       kCount);
    context.order(context.communication_stream(), context.compute_stream());
    add_in_place(exec, total.as<float>().data(), step.as<float>().data(), kCount);
  });
  for (int i = 0; i < 4; ++i) replay.run();
  EXPECT_THAT(read_total(), testing::Each(12.0f));
}

TEST_F(CapturedReplay, LeavesTheStreamUsableWhenTheFunctionThrows) {
  set_step(1.0f);
  bool fails = false;
  Replay replay(exec, true, [&] {
    add_in_place(exec, total.as<float>().data(), step.as<float>().data(), kCount);
    if (fails) fail(ExitCode::data, "a bad step");
  });
  replay.run();
  fails = true;
  EXPECT_THROW(replay.run(), Error);
  fails = false;
  replay.run();
  EXPECT_THAT(read_total(), testing::Each(2.0f));
}

#endif

}  // namespace
}  // namespace lockstep
