#include "launch/scaling/scaling_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace lockstep {

namespace {

using Table = std::vector<std::vector<std::string>>;

/// The reference point of a mode: the one with the fewest ranks.
const ScalingPoint& base_of(const ScalingResult& result, ScalingMode mode) {
  return *std::find_if(result.points.begin(), result.points.end(),
                       [&](const ScalingPoint& point) { return point.mode == mode; });
}

/// The ideal time of a step: computed as fast as on the fewest ranks, without overhead.
double ideal_ms(const ScalingResult& result, const ScalingPoint& point) {
  const ScalingPoint& base = base_of(result, point.mode);
  return base.step_ms.median * point.samples_per_rank() / base.samples_per_rank();
}

std::string count(double value) { return readable_count(std::llround(value)); }
std::string percent(double part) { return fmt::format("{:.1f} %", 100 * part); }
std::string signed_percent(double part) { return fmt::format("{:+.1f} %", 100 * part); }

std::string bucket_text(double bytes) { return readable_bytes(std::llround(bytes)); }

std::vector<ScalingMode> modes_of(const ScalingResult& result) {
  std::vector<ScalingMode> modes;
  for (const ScalingMode mode : {ScalingMode::weak, ScalingMode::strong})
    for (const ScalingPoint& point : result.points)
      if (point.mode == mode && (modes.empty() || modes.back() != mode)) modes.push_back(mode);
  return modes;
}

void print_points(const ScalingResult& result, ScalingMode mode) {
  print_text("\n{} scaling: {}\n", to_string(mode),
             mode == ScalingMode::weak ? "every rank computes the batch of one"
                                       : "the ranks share the batch of one");
  Table table = {{"ranks", "batch", "samples/s", "min", "max", "speed-up", "efficiency"}};
  for (const ScalingPoint& point : result.points)
    if (point.mode == mode)
      table.push_back({std::to_string(point.ranks), count(static_cast<double>(point.global_batch)),
                       count(point.samples_per_s.median), count(point.samples_per_s.min),
                       count(point.samples_per_s.max), fmt::format("{:.2f}x", speed_up(result, point)),
                       percent(efficiency(result, point))});
  print_table(table, std::vector<bool>(7, true));
}

void print_losses(const ScalingResult& result, ScalingMode mode) {
  print_text("\nwhere a step's time went, ms ({})\n", to_string(mode));
  Table table = {{"ranks", "step", "ideal", "slower compute", "wait for slowest", "communication"}};
  for (const ScalingPoint& point : result.points) {
    if (point.mode != mode) continue;
    const double ideal = ideal_ms(result, point);
    table.push_back({std::to_string(point.ranks), fmt::format("{:.3f}", point.step_ms.median),
                     fmt::format("{:.3f}", ideal), fmt::format("{:+.3f}", point.compute_ms - ideal),
                     fmt::format("{:+.3f}", point.wait_ms), fmt::format("{:+.3f}", point.communication_ms)});
  }
  print_table(table, std::vector<bool>(6, true));
}

void print_held_out(const ScalingResult& result) {
  if (result.held_out.empty()) return;
  print_text("\neach point as the model predicts it from the other numbers of ranks\n");
  Table table = {{"", "ranks", "measured ms", "predicted ms", "error"}};
  double errors = 0;
  for (const HeldOutPoint& point : result.held_out) {
    table.push_back({to_string(point.mode), std::to_string(point.ranks),
                     fmt::format("{:.3f}", point.measured_ms), fmt::format("{:.3f}", point.predicted_ms),
                     signed_percent(point.error())});
    errors += std::abs(point.error()) / static_cast<double>(result.held_out.size());
  }
  print_table(table, {false, true, true, true, true});
  print_text("mean error {}\n", percent(errors));
}

void print_predictions(const ScalingResult& result) {
  if (result.predictions.empty()) return;
  const ScalingModel& model = *result.model;
  print_text("\npredicted step, ms\n");
  Table table = {
      {"", "ranks", "step", "compute", "wait", "exposed", "all-reduces", "samples/s", "efficiency"}};
  for (const PredictedPoint& point : result.predictions)
    table.push_back(
        {to_string(point.mode), std::to_string(point.ranks), fmt::format("{:.2f}", 1e3 * point.cost.seconds),
         fmt::format("{:.2f}", 1e3 * point.cost.compute), fmt::format("{:.2f}", 1e3 * point.cost.wait),
         fmt::format("{:.2f}", 1e3 * point.cost.exposed),
         fmt::format("{:.2f}", 1e3 * point.cost.communication), count(point.samples_per_s),
         percent(point.efficiency)});
  std::vector<bool> right(9, true);
  right[0] = false;
  print_table(table, right);
  if (!model.overlap) return;

  print_text("\nexposed communication by bucket size, ms\n");
  constexpr double kSizes[] = {0x1p20, 4 * 0x1p20, 16 * 0x1p20, 25 * 0x1p20, 64 * 0x1p20};
  const double total = std::accumulate(model.bucket_bytes.begin(), model.bucket_bytes.end(), 0.0);
  table = {{"", "ranks", "largest by"}};
  for (const double bytes : kSizes) table[0].push_back(fmt::format("{:.0f} MiB", bytes / 0x1p20));
  table[0].insert(table[0].end(), {"all", "best size"});
  for (const PredictedPoint& point : result.predictions) {
    StepWork work = model.work(point.samples_per_rank);
    std::vector<std::string> row = {to_string(point.mode), std::to_string(point.ranks),
                                    to_string(point.cost.algorithm)};
    const auto add = [&](const std::vector<double>& buckets) {
      work.bucket_bytes = buckets;
      row.push_back(fmt::format("{:.2f}", 1e3 * step_cost(model.fabric, work, point.ranks).exposed));
    };
    for (const double bytes : kSizes) add(even_buckets(total, bytes));
    add({total});
    row.push_back(bucket_text(point.best_bucket_bytes));
    table.push_back(row);
  }
  print_table(table, {false, true, false, true, true, true, true, true, true, true});
}

Json json_of(const ScalingResult& result, const ScalingPoint& point) {
  Json json = {{"mode", to_string(point.mode)},
               {"ranks", point.ranks},
               {"global_batch", point.global_batch},
               {"threads", point.threads},
               {"samples_per_s", point.samples_per_s.median},
               {"samples_per_s_min", point.samples_per_s.min},
               {"samples_per_s_max", point.samples_per_s.max},
               {"speed_up", speed_up(result, point)},
               {"efficiency", efficiency(result, point)},
               {"step_ms", point.step_ms.median},
               {"ideal_ms", ideal_ms(result, point)},
               {"compute_ms", point.compute_ms},
               {"compute_spread_ms", point.compute_spread_ms},
               {"wait_ms", point.wait_ms},
               {"communication_ms", point.communication_ms}};
  return json;
}

Json json_of(const ScalingModel& model, const std::string& basis) {
  return {{"basis", basis},
          {"fixed_ms", 1e3 * model.fixed_seconds},
          {"us_per_sample", 1e6 * model.seconds_per_sample},
          {"spread", model.spread},
          {"latency_us", 1e6 * model.fabric.inside.latency},
          {"gb_per_s", model.fabric.inside.seconds_per_byte > 0
                           ? Json(1e-9 / model.fabric.inside.seconds_per_byte)
                           : Json()}};
}

}  // namespace

double speed_up(const ScalingResult& result, const ScalingPoint& point) {
  return point.samples_per_s.median / base_of(result, point.mode).samples_per_s.median;
}

double efficiency(const ScalingResult& result, const ScalingPoint& point) {
  const ScalingPoint& base = base_of(result, point.mode);
  return speed_up(result, point) * static_cast<double>(base.ranks) / static_cast<double>(point.ranks);
}

void print_scaling(const ScalingResult& result) {
  print_text("{}", wrapped(result.title, 0));
  for (const ScalingMode mode : modes_of(result)) {
    print_points(result, mode);
    print_losses(result, mode);
  }
  if (!result.model) return;
  print_text("\n{}", wrapped("model: " + result.model_basis, 0));
  print_held_out(result);
  print_predictions(result);
}

Json scaling_json(const ScalingResult& result) {
  Json json = {{"title", result.title}, {"points", Json::array()}};
  for (const ScalingPoint& point : result.points) json["points"].push_back(json_of(result, point));
  if (!result.model) return json;
  json["model"] = json_of(*result.model, result.model_basis);
  json["held_out"] = Json::array();
  for (const HeldOutPoint& point : result.held_out)
    json["held_out"].push_back({{"mode", to_string(point.mode)},
                                {"ranks", point.ranks},
                                {"measured_ms", point.measured_ms},
                                {"predicted_ms", point.predicted_ms},
                                {"error", point.error()}});
  json["predictions"] = Json::array();
  for (const PredictedPoint& point : result.predictions)
    json["predictions"].push_back({{"mode", to_string(point.mode)},
                                   {"ranks", point.ranks},
                                   {"samples_per_s", point.samples_per_s},
                                   {"efficiency", point.efficiency},
                                   {"step_ms", 1e3 * point.cost.seconds},
                                   {"compute_ms", 1e3 * point.cost.compute},
                                   {"wait_ms", 1e3 * point.cost.wait},
                                   {"exposed_ms", 1e3 * point.cost.exposed},
                                   {"communication_ms", 1e3 * point.cost.communication},
                                   {"algorithm", to_string(point.cost.algorithm)},
                                   {"best_bucket_bytes", point.best_bucket_bytes}});
  return json;
}

std::string scaling_csv(const ScalingResult& result) {
  std::string text =
      "kind,mode,ranks,samples_per_s,samples_per_s_min,samples_per_s_max,efficiency,step_ms,"
      "compute_ms,wait_ms,communication_ms\n";
  for (const ScalingPoint& point : result.points) {
    text += fmt::format("measured,{},{},{},{},{},{},{},{},{},{}\n", to_string(point.mode), point.ranks,
                        point.samples_per_s.median, point.samples_per_s.min, point.samples_per_s.max,
                        efficiency(result, point), point.step_ms.median, point.compute_ms, point.wait_ms,
                        point.communication_ms);
  }
  for (const HeldOutPoint& point : result.held_out)
    text += fmt::format("held out,{},{},,,,,{},,,\n", to_string(point.mode), point.ranks, point.predicted_ms);
  for (const PredictedPoint& point : result.predictions)
    text += fmt::format("predicted,{},{},{},,,{},{},{},{},{}\n", to_string(point.mode), point.ranks,
                        point.samples_per_s, point.efficiency, 1e3 * point.cost.seconds,
                        1e3 * point.cost.compute, 1e3 * point.cost.wait, 1e3 * point.cost.exposed);
  return text;
}

}  // namespace lockstep
