// The part of EngineTuner that needs a GPU.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

#include "src/core/log.h"
#include "src/device/buffer.h"
#include "src/device/compatibility.h"
#include "src/device/cuda_context.h"
#include "src/device/libraries/engine_tuner.h"
#include "src/device/replay.h"
#include "src/device/timestamp.h"

namespace lockstep {

namespace {

/// A GPU model may have fewer multiprocessors where it is divided, and other engines are then faster.
std::string describe_device(int device) {
  cudaDeviceProp properties{};
  CHECK(cudaGetDeviceProperties(&properties, device));
  return fmt::format("{} with {} multiprocessors, cuDNN {}", properties.name, properties.multiProcessorCount,
                     dotted_version(static_cast<int64_t>(cudnnGetVersion())));
}

/// Of one run, in a CUDA graph like that of a step, so that the host's time for each call does not count.
double time_run(Exec exec, double limit, const std::function<void()>& run) {
  constexpr int kRuns = 3;
  constexpr size_t kRounds = 5;
  constexpr double kFarSlower = 1.5;
  Replay replay(exec, /*capture=*/true, [&] {
    for (int i = 0; i < kRuns; ++i) run();
  });
  Timestamp start(exec), end(exec);
  const auto round = [&] {
    start.record(Timestamp::Of::compute);
    replay.run();
    end.record(Timestamp::Of::compute);
    synchronize(exec);
    return end.seconds_since(start) / kRuns;
  };
  round();  // before the capture, because libraries allocate on first use
  round();
  std::array<double, kRounds> seconds{};
  for (double& its : seconds) {
    its = round();
    if (its > kFarSlower * limit) return its;
  }
  std::ranges::nth_element(seconds, seconds.begin() + kRounds / 2);
  return seconds[kRounds / 2];
}

}  // namespace

void EngineTuner::start() {
  if (!exec_.on_cuda()) return;
  CudaContext& cuda = *exec_.cuda;
  device_ = describe_device(cuda.device());
  cuda.plans().choose_by([this](const EngineChoice& choice) {
    // Zeros, because engines take the same time for any values.
    std::vector<Buffer> buffers;
    std::vector<void*> memory;
    return choose(choice, [&](size_t engine, double limit) {
      if (buffers.empty())
        for (const size_t bytes : choice.bytes)
          memory.push_back(buffers.emplace_back(exec_, Memory::device, bytes).data());
      try {
        return time_run(exec_, limit, [&] { choice.run(engine, memory); });
      } catch (const Error& error) {
        synchronize(exec_);  // throws if the GPU itself has failed
        log_warning("autotune: left out an engine for {}: {}", choice.operation, error.what());
        return std::numeric_limits<double>::infinity();
      }
    });
  });
}

void EngineTuner::stop() {
  if (exec_.on_cuda()) exec_.cuda->plans().choose_by({});
}

}  // namespace lockstep
