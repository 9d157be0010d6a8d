#include "launch/devices/device_runs.h"

#include <algorithm>

#include "launch/measure/bench_run.h"
#include "launch/process/child_process.h"
#include "src/core/counted.h"
#include "src/core/log.h"

namespace lockstep {

namespace {

/// The sections of the runs that measured one point.
struct Measured {
  Work work;
  Place place;
  int64_t batch;
  std::vector<nlohmann::json> runs;
};

/// Runs of different training batches may predict with the same batch, and are then runs of one point.
void add_run(std::vector<Measured>& all, Work work, const Place& place, int64_t batch, nlohmann::json run) {
  const auto same = std::ranges::find_if(all, [&](const Measured& each) {
    return each.work == work && each.place == place && each.batch == batch;
  });
  if (same != all.end())
    same->runs.push_back(std::move(run));
  else
    all.push_back({work, place, batch, {std::move(run)}});
}

DevicePoint summarize(const Measured& measured) {
  const auto over_runs = [&](const char* name) {
    std::vector<double> values;
    for (const nlohmann::json& run : measured.runs)
      if (run[name].is_number()) values.push_back(run[name]);
    return values;
  };
  const auto energy = [&](const char* name) {
    const std::vector<double> values = over_runs(name);
    return values.empty() ? std::nullopt : std::optional(spread_of(values).median);
  };
  return {.work = measured.work,
          .place = measured.place,
          .batch = measured.batch,
          .ms = spread_of(over_runs(measured.work == Work::training ? "ms_per_step" : "ms_per_batch")),
          .samples_per_s = spread_of(over_runs("samples_per_s")),
          .cpu_mj = energy("cpu_mj_per_sample"),
          .gpu_mj = energy("gpu_mj_per_sample")};
}

nlohmann::json run_once(const DevicePlan& plan, const Place& place, int64_t batch) {
  std::vector<std::string> command = {own_program(), "bench", "step", "--predict", "--json"};
  command.insert(command.end(), plan.arguments.begin(), plan.arguments.end());
  command.insert(command.end(), {"--device", to_string(place.backend), "--steps", std::to_string(plan.steps),
                                 "--set", "train.global_batch=" + std::to_string(batch)});
  if (place.backend == Backend::cpu)
    command.insert(command.end(), {"--set", "run.threads=" + std::to_string(place.threads)});
  return run_bench(command, "bench step", to_string(place));
}

}  // namespace

std::string to_string(Work work) { return work == Work::training ? "training" : "prediction"; }

std::string to_string(const Place& place) {
  const std::string name = to_string(place.backend);
  return place.backend == Backend::cpu ? name + ", " + counted(place.threads, "thread") : name;
}

std::vector<int64_t> powers_of_two_up_to(int64_t most) {
  std::vector<int64_t> numbers;
  for (int64_t n = 1; n < most; n *= 2) numbers.push_back(n);
  numbers.push_back(most);
  return numbers;
}

DeviceRuns run_devices(const DevicePlan& plan) {
  std::vector<Measured> measured;
  DeviceRuns result;
  const int64_t total = plan.repeats * static_cast<int64_t>(plan.places.size() * plan.batches.size());
  int64_t done = 0;
  for (int64_t repeat = 0; repeat < plan.repeats; ++repeat) {
    for (const Place& place : plan.places) {
      for (const int64_t batch : plan.batches) {
        log_info("run {} of {}: {}, {} per step", ++done, total, to_string(place), counted(batch, "sample"));
        const nlohmann::json run = run_once(plan, place, batch);
        const nlohmann::json &training = run["step"], &prediction = run["prediction"];
        add_run(measured, Work::training, place, batch, training);
        add_run(measured, Work::prediction, place, prediction["batch"], prediction);
        result.parameters = training["parameters"];
        result.timed_steps = training["timed_steps"];
        result.warm_up_steps = training["warm_up_steps"];
        result.cpu_energy_reason = training["cpu_energy_reason"];
        if (place.backend == Backend::cuda) result.gpu_energy_reason = training["gpu_energy_reason"];
      }
    }
  }
  for (const Work work : {Work::training, Work::prediction})
    for (const Measured& each : measured)
      if (each.work == work) result.points.push_back(summarize(each));
  return result;
}

const DevicePoint* reference_of(const std::vector<DevicePoint>& points, const DevicePoint& point) {
  const DevicePoint* reference = nullptr;
  for (const DevicePoint& each : points) {
    if (each.work != point.work || each.batch != point.batch || each.place.backend != Backend::cpu) continue;
    if (reference == nullptr || each.place.threads < reference->place.threads) reference = &each;
  }
  return reference;
}

}  // namespace lockstep
