#include "launch/scaling/fabric_file.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "launch/config/config_value.h"
#include "models/file/toml_advice.h"
#include "src/core/error.h"
#include "src/core/text/suggest.h"

namespace lockstep {

namespace {

/// The keys, documented in docs/reference.md.
struct Keys {
  double gpus_per_node = 0, nvlink_gb_per_s = 0, nvlink_latency_us = 0, network_gb_per_s = 0,
         network_latency_us = 0;
  double samples = 0, compute_ms = 0, spread_percent = 0, parameters = 0, bucket_mib = 25;
};

enum class Need { always, with_step, never };

struct Key {
  const char* name;
  double Keys::*field;
  Need need;
  double min;  ///< values below are rejected
  bool whole;
};

constexpr Key kKeys[] = {
    {"gpus_per_node", &Keys::gpus_per_node, Need::always, 1, true},
    {"nvlink_gb_per_s", &Keys::nvlink_gb_per_s, Need::always, 1e-6, false},
    {"nvlink_latency_us", &Keys::nvlink_latency_us, Need::always, 0, false},
    {"network_gb_per_s", &Keys::network_gb_per_s, Need::always, 1e-6, false},
    {"network_latency_us", &Keys::network_latency_us, Need::always, 0, false},
    {"samples", &Keys::samples, Need::with_step, 1, true},
    {"compute_ms", &Keys::compute_ms, Need::with_step, 1e-6, false},
    {"spread_percent", &Keys::spread_percent, Need::never, 0, false},
    {"parameters", &Keys::parameters, Need::with_step, 1, true},
    {"bucket_mib", &Keys::bucket_mib, Need::never, 1e-3, false},
};

toml::table parse(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file.is_open() || std::filesystem::is_directory(path))
    fail(ExitCode::usage, "--fabric {} cannot be read: check the path and its permissions.", path);
  try {
    return toml::parse(text.str(), path);
  } catch (const toml::parse_error& error) {
    fail(ExitCode::usage, "{}:{}: {}{}", path, error.source().begin.line, error.description(),
         toml_advice(text.str(), error.source().begin.line));
  }
}

Keys read_keys(const toml::table& table, const std::string& path) {
  std::vector<std::string> known;
  for (const Key& key : kKeys) known.emplace_back(key.name);
  Keys keys;
  for (const auto& [name, node] : table) {
    const std::string where = fmt::format("{}:{}: ", path, node.source().begin.line);
    const GivenValue given{node, std::string(name), where, "", ""};
    const auto* const key = std::find_if(std::begin(kKeys), std::end(kKeys),
                                         [&](const Key& each) { return given.key == each.name; });
    if (key == std::end(kKeys))
      fail(ExitCode::usage, "{}unknown key '{}'{}", where, given.key, suggestion(given.key, known));
    const double value = key->whole ? static_cast<double>(read_integer(given)) : read_number(given);
    if (value < key->min) given.reject("must be at least {}, is {}", key->min, value);
    keys.*key->field = value;
  }
  const bool has_step =
      table.contains("compute_ms") || table.contains("samples") || table.contains("parameters");
  for (const Key& key : kKeys)
    if ((key.need == Need::always || (key.need == Need::with_step && has_step)) && !table.contains(key.name))
      fail(ExitCode::usage, "{}: {} is missing{}.", path, key.name,
           key.need == Need::with_step ? ", without which a GPU's step is not described" : "");
  return keys;
}

}  // namespace

FabricFile read_fabric_file(const std::string& path) {
  const Keys keys = read_keys(parse(path), path);
  const auto link = [](double gb_per_s, double latency_us) {
    return Link{latency_us * 1e-6, 1 / (gb_per_s * 1e9)};
  };
  FabricFile result;
  result.fabric.ranks_per_node = static_cast<int64_t>(keys.gpus_per_node);
  result.fabric.inside = link(keys.nvlink_gb_per_s, keys.nvlink_latency_us);
  result.fabric.between = link(keys.network_gb_per_s, keys.network_latency_us);
  if (keys.samples == 0) return result;

  ScalingModel model;
  model.seconds_per_sample = keys.compute_ms * 1e-3 / keys.samples;
  model.spread = keys.spread_percent / 100;
  model.fabric = result.fabric;
  model.bucket_bytes = even_buckets(keys.parameters * sizeof(float), keys.bucket_mib * 0x1p20);
  model.overlap = true;
  result.step = {model, static_cast<int64_t>(keys.samples)};
  return result;
}

}  // namespace lockstep
