#include "launch/report/memory_table.h"

#include <algorithm>

#include "launch/config/device_names.h"
#include "src/core/counted.h"

namespace lockstep {

namespace {

/// What else there is to say about a row, for the forecast in the first column.
std::string note_on(const MemoryPurpose& purpose, const MemoryForecast& forecast, const Config& config,
                    int ranks) {
  const int busy = std::min(forecast.lanes, forecast.batching.micro_batches);
  if (purpose.bytes == &TrainingMemory::optimizer)
    return config.optimizer.name + (config.optimizer.sharded && ranks > 1 ? ", sharded" : "");
  if (purpose.bytes == &TrainingMemory::activations)
    return fmt::format("{} x {}, workspace {}", busy, readable_bytes(forecast.training_arena),
                       readable_bytes(forecast.workspace));
  if (purpose.bytes == &TrainingMemory::evaluation) return "only with validation or test data";
  if (purpose.bytes == &TrainingMemory::snapshot) return "rank 0 only";
  return "";
}

}  // namespace

void print_memory(const ForecastsByPrecision& forecasts, const Config& config, Exec exec, int ranks) {
  const MemoryForecast& first = forecasts.front().second;
  const Batching& batching = first.batching;
  print_text("batch        {} = {} x {} x {}, on {}\n\n", batching.global_batch, counted(ranks, "rank"),
             counted(batching.micro_batches, "micro-batch", "micro-batches"), batching.micro_batch,
             exec.on_cuda() ? "a GPU" : counted(first.lanes, "thread"));
  std::vector<std::vector<std::string>> rows(1);
  rows[0].emplace_back("memory per rank");
  std::vector<bool> right{false};
  for (const auto& [precision, forecast] : forecasts) {
    rows[0].push_back(precision);
    right.push_back(true);
  }
  rows[0].emplace_back();
  right.push_back(false);
  const auto add = [&](const std::string& name, const auto& bytes_of, const std::string& note) {
    std::vector<std::string> row{name};
    for (const auto& [precision, forecast] : forecasts) row.push_back(readable_bytes(bytes_of(forecast)));
    row.push_back(note);
    rows.push_back(std::move(row));
  };
  for (const MemoryPurpose& purpose : memory_purposes()) {
    if (first.memory.*purpose.bytes == 0) continue;
    add(
        purpose.name, [&](const MemoryForecast& forecast) { return forecast.memory.*purpose.bytes; },
        note_on(purpose, first, config, ranks));
  }
  add(
      "total", [](const MemoryForecast& forecast) { return forecast.memory.total(); }, "");
  print_table(rows, right);
}

Json memory_json(const MemoryForecast& forecast, const Config& config, Exec exec, int ranks) {
  Json json;
  for (const MemoryPurpose& purpose : memory_purposes()) json[purpose.key] = forecast.memory.*purpose.bytes;
  json["total_bytes"] = forecast.memory.total();
  json["precision"] = precision_names()[static_cast<size_t>(config.run.precision)];
  json["optimizer"] = config.optimizer.name;
  json["device"] = to_string(exec.backend());
  json["ranks"] = ranks;
  json["threads"] = forecast.lanes;
  json["micro_batches"] = forecast.batching.micro_batches;
  json["micro_batch"] = forecast.batching.micro_batch;
  json["arena_bytes"] = forecast.training_arena;
  json["workspace_bytes"] = forecast.workspace;
  json["unshared_bytes"] = forecast.unshared;
  return json;
}

}  // namespace lockstep
