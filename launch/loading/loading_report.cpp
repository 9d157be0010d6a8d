#include "launch/loading/loading_report.h"

#include <fmt/format.h>

#include <cmath>

#include "src/core/counted.h"

namespace lockstep {

namespace {

/// With three significant digits: "0.0751", "9.81", "61.2", "143".
std::string three_digits(double value) {
  const int decimals = value < 0.1 ? 4 : value < 1 ? 3 : value < 10 ? 2 : value < 100 ? 1 : 0;
  return fmt::format("{:.{}f}", value, decimals);
}

std::string gigabytes(double bytes) { return three_digits(bytes / 1e9); }
std::string percent(double share) { return fmt::format("{:.0f} %", 100 * share); }
std::string rounded(double value) { return readable_count(std::llround(value)); }

size_t bytes_of_sample(const LoadingResult& result) { return result.x_bytes + result.y_bytes; }

void print_data(const LoadingResult& result) {
  const auto line = [](const std::string& name, const std::string& text) {
    constexpr size_t kText = 8;
    std::string lines = wrapped(text, kText);
    print_text("{}", lines.replace(0, kText, fmt::format("{:<{}}", name, kText)));
  };
  const LoadingTimes& times = result.times;
  line("data", result.data);
  line("route", result.route);
  line("sample", fmt::format("{} of x, {} of targets", counted(result.x_bytes, "byte"), result.y_bytes));
  line("batch",
       fmt::format("{} on {}", counted(result.global_batch, "sample"), counted(result.ranks, "rank")));
  line("order", fmt::format("{} (--shuffle {})", result.order_in_words, result.order));
  line("opened", fmt::format("in {:.3f} s; peak memory since then {}{}", result.open_seconds,
                             readable_bytes(times.peak_bytes), result.ranks > 1 ? " (largest rank)" : ""));
  line("timed", fmt::format("{}, in turns with the limits", counted(times.repeats, "repeat")));
  if (times.cached_share)
    line("cache", fmt::format("{} of the files' pages are in the page cache", percent(*times.cached_share)));
}

void print_rates(const LoadingResult& result) {
  std::vector<std::vector<std::string>> table = {
      {"threads", "samples/s", "min", "max", "GB/s", "CPU us", "waited", "first ms"}};
  for (const LoadingRates& rates : result.times.rates)
    table.push_back({std::to_string(rates.threads), rounded(rates.samples_per_s.median),
                     rounded(rates.samples_per_s.min), rounded(rates.samples_per_s.max),
                     gigabytes(rates.samples_per_s.median * static_cast<double>(bytes_of_sample(result))),
                     three_digits(1e6 * rates.decode_seconds), percent(rates.waited),
                     three_digits(1e3 * rates.first_batch_seconds)});
  print_text("\n");
  print_table(table, std::vector<bool>(table[0].size(), true));
}

void print_limits(const LoadingResult& result) {
  std::vector<std::vector<std::string>> table = {
      {"limit", "threads", "GB/s", "min", "max", "CPU us", "reached"}};
  const auto add = [&](const char* name, const Limit& limit, int threads) {
    table.push_back({name, std::to_string(threads), gigabytes(limit.bytes_per_s.median),
                     gigabytes(limit.bytes_per_s.min), gigabytes(limit.bytes_per_s.max),
                     three_digits(1e6 * limit.cpu_seconds), percent(limit.share)});
  };
  for (const LoadingRates& rates : result.times.rates) {
    add("copies of memory", rates.copy, rates.threads);
    add("reads of the files in order", rates.read, rates.threads);
    add("reads of one sample's size", rates.scattered, rates.threads);
  }
  print_text("\n");
  print_table(table, {false, true, true, true, true, true, true});
  const std::optional<double>& stayed = result.cold.cached_share;
  const std::string kept = !stayed ? "how much of it the page cache kept is unknown"
                           : *stayed > 0.01
                               ? percent(*stayed) + " of it stayed in the page cache: not a cold read"
                               : "none of it was in the page cache";
  print_text("\n{}", wrapped(fmt::format("files dropped from the page cache, then read in order by 1 thread: "
                                         "{} GB/s ({})",
                                         gigabytes(result.cold.bytes_per_s), kept),
                             0));
}

void print_h5py(const LoadingResult& result) {
  const nlohmann::json& h5py = result.h5py;
  if (h5py.contains("reason")) {
    print_text("\n{}", wrapped("h5py: not measured: " + h5py["reason"].get<std::string>(), 0));
    return;
  }
  std::vector<std::vector<std::string>> table = {{"reader", "samples/s", "GB/s"}};
  const auto add = [&](const std::string& reader, double rate) {
    table.push_back({reader, rounded(rate), gigabytes(rate * static_cast<double>(bytes_of_sample(result)))});
  };
  const nlohmann::json& rates = h5py["samples_per_s"];
  const std::string version = h5py["h5py"];
  add(fmt::format("h5py {}, in order", version), rates["in_order"]);
  add("h5py, random batches, one selection each", rates["by_list"]);
  add("h5py, random batches, row by row", rates["row_by_row"]);
  for (const nlohmann::json& with : h5py["dataloader"])
    add(fmt::format("torch {} DataLoader, shuffled, {}", h5py["torch"].get<std::string>(),
                    counted(with["workers"].get<int>(), "worker")),
        with["samples_per_s"]);
  print_text("\n");
  print_table(table, {false, true, true});
  if (h5py["torch"].is_null()) print_text("torch: not found\n");
  if (h5py.contains("dataloader_reason"))
    print_text("{}", wrapped("DataLoader: " + h5py["dataloader_reason"].get<std::string>(), 0));
}

Json json_of(const Spread& spread, double scale = 1) {
  return {{"median", scale * spread.median}, {"min", scale * spread.min}, {"max", scale * spread.max}};
}

Json json_of(const std::optional<double>& value) { return value ? Json(*value) : Json(); }

Json json_of(const Limit& limit) {
  return {{"gb_per_s", json_of(limit.bytes_per_s, 1e-9)},
          {"share", limit.share},
          {"cpu_us_per_sample", 1e6 * limit.cpu_seconds}};
}

Json json_of(const LoadingRates& rates, size_t sample_bytes) {
  return {{"threads", rates.threads},
          {"timed_samples", rates.samples},
          {"samples_per_s", json_of(rates.samples_per_s)},
          {"gb_per_s", json_of(rates.samples_per_s, static_cast<double>(sample_bytes) / 1e9)},
          {"copy", json_of(rates.copy)},
          {"read_in_order", json_of(rates.read)},
          {"read_scattered", json_of(rates.scattered)},
          {"decode_us_per_sample", 1e6 * rates.decode_seconds},
          {"read_us_per_sample", 1e6 * rates.read_seconds},
          {"waited", rates.waited},
          {"first_batch_ms", 1e3 * rates.first_batch_seconds}};
}

}  // namespace

void print_loading(const LoadingResult& result) {
  print_data(result);
  print_rates(result);
  print_limits(result);
  print_h5py(result);
  print_text("\n{}",
             wrapped("GB/s: 10^9 bytes of x and targets, counted once. CPU us: time that the loader's "
                     "threads ran, per sample. waited: share of the time in which the caller, which "
                     "does nothing else, waited for a batch.",
                     0));
}

Json loading_json(const LoadingResult& result) {
  Json json = {{"data", result.data},
               {"route", result.route},
               {"rows", result.rows},
               {"x_bytes", result.x_bytes},
               {"y_bytes", result.y_bytes},
               {"file_bytes", result.file_bytes},
               {"ranks", result.ranks},
               {"global_batch", result.global_batch},
               {"order", result.order},
               {"order_in_words", result.order_in_words},
               {"memory_budget", result.memory_budget},
               {"open_seconds", result.open_seconds},
               {"peak_host_bytes", result.times.peak_bytes},
               {"cache_bytes", result.cache.bytes},
               {"cache_shared_by", result.cache.shared_by},
               {"decoded_blocks", result.cache.decoded},
               {"cached_share", json_of(result.times.cached_share)},
               {"repeats", result.times.repeats},
               {"loader", Json::array()},
               {"cold_read_gb_per_s", result.cold.bytes_per_s / 1e9},
               {"cold_read_cached_share", json_of(result.cold.cached_share)},
               {"h5py", result.h5py}};
  for (const LoadingRates& rates : result.times.rates)
    json["loader"].push_back(json_of(rates, bytes_of_sample(result)));
  return json;
}

}  // namespace lockstep
