#include "launch/measure/step_times.h"

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

/// Times of each step on this rank, in milliseconds.
struct Series {
  std::vector<double> compute, exposed, sums;
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
  const auto min_over_ranks = [&](const std::vector<double>& values) {
    std::vector<double> least = pick(values);
    world.min(least);
    return mean(least);
  };
  const double ranks = world.size();
  std::vector<double> sum = pick(mine.compute), slowest = sum, squares = sum;
  for (double& value : squares) value *= value;
  world.sum(sum);
  world.sum(squares);
  world.max(slowest);

  StepTimes::Shares shares;
  shares.compute = mean(sum) / ranks;
  shares.wait = mean(slowest) - shares.compute;
  shares.communication = min_over_ranks(mine.exposed);
  shares.compute_spread = std::sqrt(std::max(0.0, mean(squares) / ranks - shares.compute * shares.compute));
  shares.sums = min_over_ranks(mine.sums);
  return shares;
}

/// Runs this many steps, one after another, timed by the GPU's clock.
Series time_on_device(Exec exec, TimedCommunicator& communicator, int64_t steps,
                      const std::function<void()>& run) {
  Timestamp start(exec), end(exec);
  Series series;
  for (int64_t i = 0; i < steps; ++i) {
    start.record(Timestamp::Of::compute);
    run();
    end.record(Timestamp::Of::compute);
    synchronize(exec);
    const TimedCommunicator::DeviceSeconds seconds = communicator.device_seconds();
    series.compute.push_back(1000 * (end.seconds_since(start) - seconds.exposed));
    series.exposed.push_back(1000 * seconds.exposed);
    series.sums.push_back(1000 * seconds.running);
  }
  return series;
}

}  // namespace

StepTimes time_steps(World& world, Exec exec, TimedCommunicator& communicator, int lanes, int64_t steps,
                     EnergyMeter& meter, const std::function<void(int64_t)>& run,
                     const std::function<void()>& flush) {
  // The spread of the parts shows how steady the machine was.
  constexpr int64_t kParts = 10;
  const int64_t each = std::max<int64_t>(1, steps / kParts), warm_up = std::max<int64_t>(4, each);
  int64_t next = 1;
  const auto run_next = [&] {
    communicator.begin_step();
    run(next++);
    communicator.end_step();
  };
  while (next <= warm_up) run_next();
  flush();
  communicator.take_seconds(lanes);
  world.barrier();
  meter.start();

  Series mine;
  std::vector<double> parts;
  for (int64_t part = 0; part < kParts; ++part) {
    const Clock::time_point part_start = Clock::now();
    for (int64_t i = 0; i < each; ++i) {
      const Clock::time_point step_start = Clock::now();
      const double busy_before = communicator.busy_seconds();
      run_next();
      if (exec.on_cuda()) continue;
      mine.exposed.push_back(1000 * communicator.take_seconds(lanes));
      mine.compute.push_back(milliseconds_since(step_start) - mine.exposed.back());
      mine.sums.push_back(1000 * (communicator.busy_seconds() - busy_before));
    }
    flush();
    parts.push_back(milliseconds_since(part_start) / static_cast<double>(each));
    meter.lap();
  }
  world.max(parts);

  std::vector<size_t> chosen;
  if (exec.on_cuda()) {
    mine = time_on_device(exec, communicator, 2 * each, run_next);
    flush();
    chosen.resize(mine.compute.size());
    std::iota(chosen.begin(), chosen.end(), 0);
  } else {
    // The middle parts, whose mean is the median.
    std::vector<size_t> order(parts.size());
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return parts[a] < parts[b]; });
    for (const size_t part : {order[kParts / 2 - 1], order[kParts / 2]})
      for (size_t i = 0; i < static_cast<size_t>(each); ++i)
        chosen.push_back(part * static_cast<size_t>(each) + i);
  }
  return {kParts, each, warm_up, spread_of(parts), meter.energy(), shares_of(world, mine, chosen)};
}

}  // namespace lockstep
