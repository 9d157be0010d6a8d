#include "comm/cost/measure_link.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>

#include "src/core/activity.h"
#include "src/device/buffer.h"

namespace lockstep {

namespace {

/// Seconds of one all-reduce on this rank when the others are ready.
double time_sum(World& world, Exec exec, Communicator& communicator, std::span<float> data) {
  using Clock = std::chrono::steady_clock;
  world.barrier();
  const Clock::time_point start = Clock::now();
  communicator.start_all_reduce(exec, data);
  communicator.wait(exec);
  synchronize(exec);
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

Link measure_all_reduce(World& world, Exec exec, Communicator& communicator) {
  const PhaseScope waiting(Phase::wait);
  constexpr size_t kFew = 64, kMany = static_cast<size_t>(kMaxMeasuredFloats);
  constexpr int kRepeats = 5;
  const Buffer buffer(exec, Memory::device, kMany * sizeof(float));
  const std::span<float> data = buffer.as<float>();
  communicator.prepare(data, static_cast<int64_t>(kMany));
  std::array<double, 2> least = {1, 1};
  // The first one of each size sets up connections and memory, and takes longest.
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    least[0] = std::min(least[0], time_sum(world, exec, communicator, data.first(kFew)));
    least[1] = std::min(least[1], time_sum(world, exec, communicator, data));
  }
  communicator.prepare({}, 0);
  world.max(least);
  const double bytes = static_cast<double>((kMany - kFew) * sizeof(float));
  return {least[0], std::max(0.0, least[1] - least[0]) / bytes};
}

int64_t choose_bucket_bytes(const Link& sums, int64_t total_bytes) {
  constexpr double kMin = 1 << 20;
  const auto total = static_cast<double>(std::max<int64_t>(total_bytes, 1));
  const double best =
      sums.seconds_per_byte > 0 ? std::sqrt(total * sums.latency / sums.seconds_per_byte) : total;
  return std::llround(std::exp2(std::round(std::log2(std::clamp(best, kMin, std::max(total, kMin))))));
}

}  // namespace lockstep
