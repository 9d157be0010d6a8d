// The part of EngineTuner that needs a GPU.
#include <fmt/ranges.h>

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

/// All that distinguishes it from others.
std::string in_words(const CudnnConvolution& c) {
  constexpr const char* kDirections[] = {"forward", "data gradient", "filter gradient"};
  const auto list = [](const std::vector<int64_t>& values) {
    return fmt::format("{}", fmt::join(values, ","));
  };
  const char* const type = c.type == CUDNN_DATA_FLOAT      ? "fp32"
                           : c.type == CUDNN_DATA_BFLOAT16 ? "bf16"
                                                           : "fp16";
  return fmt::format("{} in {}{} data {} filters {} result {} padding {}/{} stride {} dilation {}{}",
                     kDirections[static_cast<size_t>(c.direction)], type, c.tf32 ? " as tf32" : "",
                     list(c.data), list(c.filters), list(c.result), list(c.pad_before), list(c.pad_after),
                     list(c.stride), list(c.dilation), c.adds ? " adds" : "");
}

size_t bytes_of(const CudnnConvolution& convolution, const std::vector<int64_t>& extents) {
  int64_t elements = 1;
  for (const int64_t extent : extents) elements *= extent;
  return static_cast<size_t>(elements) * (convolution.type == CUDNN_DATA_FLOAT ? 4 : 2);
}

/// Memory of a convolution's size. It is zeros, because engines take the same time for any values.
struct TimedMemory {
  TimedMemory(Exec exec, const CudnnConvolution& convolution, const std::vector<CudnnPlan>& plans)
      : data(exec, Memory::device, bytes_of(convolution, convolution.data)),
        filters(exec, Memory::device, bytes_of(convolution, convolution.filters)),
        result(exec, Memory::device, bytes_of(convolution, convolution.result)),
        workspace(exec, Memory::device,
                  std::ranges::max_element(plans, {}, &CudnnPlan::workspace_bytes)->workspace_bytes()) {}

  Buffer data, filters, result, workspace;
};

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
  cuda.plans().choose_by(
      [this, &cuda](const CudnnConvolution& convolution, const std::vector<CudnnPlan>& plans) {
        std::optional<TimedMemory> memory;
        return choose(in_words(convolution), plans.size(), [&](size_t place, double limit) {
          if (!memory) memory.emplace(exec_, convolution, plans);
          try {
            return time_run(exec_, limit, [&] {
              plans[place].run(cuda.cudnn(),
                               {{CudnnConvolution::kData, memory->data.data()},
                                {CudnnConvolution::kFilters, memory->filters.data()},
                                {CudnnConvolution::kResult, memory->result.data()}},
                               memory->workspace.data());
            });
          } catch (const Error& error) {
            synchronize(exec_);  // throws if the GPU itself has failed
            log_warning("autotune: left out an engine for {}: {}", in_words(convolution), error.what());
            return std::numeric_limits<double>::infinity();
          }
        });
      });
}

void EngineTuner::stop() {
  if (exec_.on_cuda()) exec_.cuda->plans().choose_by({});
}

}  // namespace lockstep
