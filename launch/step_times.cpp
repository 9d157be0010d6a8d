#include "launch/step_times.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

namespace lockstep {

namespace {

using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

/// One number a step, of this rank.
struct Series {
  std::vector<double> compute, communication;
};

StepTimes::Shares shares_of(World& world, const Series& mine, const std::vector<size_t>& steps) {
  const auto pick = [&](const std::vector<double>& values) {
    std::vector<double> picked;
    for (const size_t step : steps) picked.push_back(values[step]);
    return picked;
  };
  const auto mean = [](const std::vector<double>& values) {
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  };
  const double ranks = world.size();
  std::vector<double> sum = pick(mine.compute), slowest = sum, squares = sum;
  for (double& value : squares) value *= value;
  world.sum(sum);
  world.sum(squares);
  world.max(slowest);
  std::vector<double> least = pick(mine.communication);
  world.min(least);

  StepTimes::Shares shares;
  shares.compute = mean(sum) / ranks;
  shares.wait = mean(slowest) - shares.compute;
  shares.communication = mean(least);
  shares.compute_spread = std::sqrt(std::max(0.0, mean(squares) / ranks - shares.compute * shares.compute));
  return shares;
}

}  // namespace

StepTimes time_steps(World& world, Exec exec, TimedCommunicator& communicator, int lanes, int64_t steps,
                     const std::function<void(int64_t)>& run, const std::function<void()>& flush) {
  // The spread of the parts says how steady the machine was.
  constexpr int64_t kParts = 10;
  const int64_t each = std::max<int64_t>(1, steps / kParts), warm_up = std::max<int64_t>(3, each);
  int64_t next = 1;
  while (next <= warm_up) run(next++);
  flush();
  communicator.take_seconds(lanes);
  world.barrier();

  Series mine;
  std::vector<double> parts;
  for (int64_t part = 0; part < kParts; ++part) {
    const Clock::time_point part_start = Clock::now();
    for (int64_t i = 0; i < each; ++i) {
      const Clock::time_point step_start = Clock::now();
      run(next++);
      if (exec.on_cuda()) continue;
      mine.communication.push_back(1000 * communicator.take_seconds(lanes));
      mine.compute.push_back(milliseconds_since(step_start) - mine.communication.back());
    }
    flush();
    parts.push_back(milliseconds_since(part_start) / static_cast<double>(each));
  }
  world.max(parts);
  StepTimes times{kParts, each, spread_of(parts), std::nullopt};
  if (exec.on_cuda()) return times;

  // The parts whose mean is the median.
  std::vector<size_t> order(parts.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return parts[a] < parts[b]; });
  std::vector<size_t> middle;
  for (const size_t part : {order[kParts / 2 - 1], order[kParts / 2]})
    for (size_t i = 0; i < static_cast<size_t>(each); ++i)
      middle.push_back(part * static_cast<size_t>(each) + i);
  times.shares = shares_of(world, mine, middle);
  return times;
}

}  // namespace lockstep
