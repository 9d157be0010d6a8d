#include "launch/devices/device_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "src/core/counted.h"

namespace lockstep {

namespace {

/// "0.1234", "12.34", "123.4", "12345"
std::string short_number(double value) {
  const int decimals = value < 1 ? 4 : value < 10 ? 3 : value < 100 ? 2 : value < 1000 ? 1 : 0;
  return fmt::format("{:.{}f}", value, decimals);
}

/// Of the device that computes, in millijoules per sample.
std::optional<double> device_mj(const DevicePoint& point) {
  return point.place.backend == Backend::cuda ? point.gpu_mj : point.cpu_mj;
}

std::string threads_text(const Place& place) {
  return place.backend == Backend::cpu ? std::to_string(place.threads) : "";
}

void print_head(const DeviceResult& result) {
  const DeviceRuns& runs = result.runs;
  const auto line = [](const std::string& name, const std::string& text) {
    constexpr size_t kText = 8;
    std::string lines = wrapped(text, kText);
    print_text("{}", lines.replace(0, kText, fmt::format("{:<{}}", name, kText)));
  };
  line("model",
       fmt::format("{}, {} parameters; samples of ({}), {}", result.model, readable_count(runs.parameters),
                   fmt::join(result.input, ", "), counted(result.outputs, "output")));
  line("CPU", fmt::format("{}, {}", result.cpu, counted(result.cores, "usable core")));
  line("GPU", result.gpu);
  line("timed",
       fmt::format("{} after {} of warm-up, then predictions of as many samples, also warm; {} per "
                   "point, in turns, each in a process of its own",
                   counted(runs.timed_steps, "step"), runs.warm_up_steps, counted(result.repeats, "run")));
  for (const auto& [name, reason] :
       {std::pair{"CPU packages", &runs.cpu_energy_reason}, {"GPU", &runs.gpu_energy_reason}})
    if (!reason->empty()) line("energy", fmt::format("of the {}: not available: {}", name, *reason));
}

bool has_energy(const DeviceResult& result) {
  return std::ranges::any_of(result.runs.points,
                             [](const DevicePoint& point) { return device_mj(point).has_value(); });
}

void print_points(const DeviceResult& result, Work work) {
  const bool with_energy = has_energy(result);
  std::vector<std::vector<std::string>> table = {
      {"device", "threads", "batch", "ms", "min", "max", "samples/s", "speed-up"}};
  if (with_energy) table[0].emplace_back("mJ");
  for (const DevicePoint& point : result.runs.points) {
    if (point.work != work) continue;
    const std::optional<double> up = speed_up(result, point), mj = device_mj(point);
    table.push_back({to_string(point.place.backend), threads_text(point.place), std::to_string(point.batch),
                     short_number(point.ms.median), short_number(point.ms.min), short_number(point.ms.max),
                     readable_count(std::llround(point.samples_per_s.median)),
                     up ? fmt::format("{:.2f}x", *up) : ""});
    if (with_energy) table.back().push_back(mj ? short_number(*mj) : "");
  }
  std::vector<bool> right(table[0].size(), true);
  right[0] = false;
  print_table(table, right);
}

Json json_of(const std::optional<double>& value) { return value ? Json(*value) : Json(); }

Json json_of(const DeviceResult& result, const DevicePoint& point) {
  return {{"work", to_string(point.work)},
          {"device", to_string(point.place.backend)},
          {"threads", point.place.backend == Backend::cpu ? Json(point.place.threads) : Json()},
          {"batch", point.batch},
          {"ms_per_batch", point.ms.median},
          {"ms_per_batch_min", point.ms.min},
          {"ms_per_batch_max", point.ms.max},
          {"samples_per_s", point.samples_per_s.median},
          {"samples_per_s_min", point.samples_per_s.min},
          {"samples_per_s_max", point.samples_per_s.max},
          {"speed_up", json_of(speed_up(result, point))},
          {"cpu_mj_per_sample", json_of(point.cpu_mj)},
          {"gpu_mj_per_sample", json_of(point.gpu_mj)}};
}

}  // namespace

std::optional<double> speed_up(const DeviceResult& result, const DevicePoint& point) {
  const DevicePoint* const reference = reference_of(result.runs.points, point);
  if (reference == nullptr) return std::nullopt;
  return point.samples_per_s.median / reference->samples_per_s.median;
}

void print_devices(const DeviceResult& result) {
  print_head(result);
  print_text("\ntraining: forward, backward and update\n");
  print_points(result, Work::training);
  print_text("\nprediction: forward only, in the batches of eval and predict\n");
  print_points(result, Work::prediction);
  print_text("\nms: per batch{}\n",
             has_energy(result) ? "; mJ: per sample, of the CPU packages or of the GPU's board" : "");
  const DevicePoint* const reference = reference_of(result.runs.points, result.runs.points.front());
  if (reference != nullptr)
    print_text("speed-up: samples/s relative to {} and the same batch\n",
               counted(reference->place.threads, "CPU thread"));
}

Json devices_json(const DeviceResult& result) {
  const DeviceRuns& runs = result.runs;
  Json json = {{"model", result.model},
               {"parameters", runs.parameters},
               {"input", result.input},
               {"outputs", result.outputs},
               {"cpu", result.cpu},
               {"cores", result.cores},
               {"gpu", result.gpu},
               {"timed_steps", runs.timed_steps},
               {"warm_up_steps", runs.warm_up_steps},
               {"repeats", result.repeats},
               {"cpu_energy_reason", runs.cpu_energy_reason},
               {"gpu_energy_reason", runs.gpu_energy_reason},
               {"points", Json::array()}};
  for (const DevicePoint& point : runs.points) json["points"].push_back(json_of(result, point));
  return json;
}

std::string devices_csv(const DeviceResult& result) {
  std::string text =
      "work,device,threads,batch,ms_per_batch,ms_per_batch_min,ms_per_batch_max,samples_per_s,"
      "samples_per_s_min,samples_per_s_max,speed_up,cpu_mj_per_sample,gpu_mj_per_sample\n";
  const auto number = [](const std::optional<double>& value) {
    return value ? fmt::format("{}", *value) : std::string();
  };
  for (const DevicePoint& point : result.runs.points)
    text += fmt::format("{},{},{},{},{},{},{},{},{},{},{},{},{}\n", to_string(point.work),
                        to_string(point.place.backend), threads_text(point.place), point.batch,
                        point.ms.median, point.ms.min, point.ms.max, point.samples_per_s.median,
                        point.samples_per_s.min, point.samples_per_s.max, number(speed_up(result, point)),
                        number(point.cpu_mj), number(point.gpu_mj));
  return text;
}

}  // namespace lockstep
