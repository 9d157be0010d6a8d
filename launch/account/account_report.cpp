#include "launch/account/account_report.h"

#include <algorithm>
#include <cmath>

namespace lockstep {

namespace {

constexpr size_t kNameColumns = 32;
constexpr size_t kKernelsForPeople = 24;

using Row = std::vector<std::string>;

std::string shortened(const std::string& name) {
  return name.size() <= kNameColumns ? name : name.substr(0, kNameColumns - 3) + "...";
}

/// How often the warps of a kernel access what it needs to move once.
double repeats(const AccountEntry& entry) {
  return entry.bytes == 0 ? 1 : static_cast<double>(entry.accessed_bytes) / static_cast<double>(entry.bytes);
}

Row row_of(const AccountEntry& entry, double total_us) {
  return {shortened(entry.name),
          fmt::format("{}", entry.nodes),
          fmt::format("{:.1f}", static_cast<double>(entry.bytes) / 1e6),
          fmt::format("{:.1f}", repeats(entry)),
          fmt::format("{:.2f}", static_cast<double>(entry.flops) / 1e9),
          fmt::format("{:.1f}", entry.us),
          fmt::format("{:.1f} %", 100 * entry.us / total_us)};
}

void print_entries(const std::string& what, const std::vector<AccountEntry>& entries,
                   const AccountEntry& total, bool with_total) {
  std::vector<Row> rows = {{what, "nodes", "MB", "x", "GFLOP", "us", "share"}};
  AccountEntry others{.name = "others"};
  for (size_t i = 0; i < entries.size(); ++i) {
    if (i < kKernelsForPeople)
      rows.push_back(row_of(entries[i], total.us));
    else
      others.add(entries[i]);
  }
  if (others.nodes > 0) rows.push_back(row_of(others, total.us));
  if (with_total) rows.push_back(row_of(total, total.us));
  print_text("\n");
  print_table(rows, {false, true, true, true, true, true, true});
}

void print_layers(const StepAccount& account) {
  std::vector<Row> rows = {{"layer", "nodes", "MB", "GFLOP", "forward us", "backward us"}};
  for (const StepAccount::Layer& layer : account.layers)
    rows.push_back({shortened(layer.sum.name), fmt::format("{}", layer.sum.nodes),
                    fmt::format("{:.1f}", static_cast<double>(layer.sum.bytes) / 1e6),
                    fmt::format("{:.2f}", static_cast<double>(layer.sum.flops) / 1e9),
                    fmt::format("{:.1f}", layer.forward_us), fmt::format("{:.1f}", layer.backward_us)});
  print_text("\n");
  print_table(rows, {false, true, true, true, true, true});
}

Json json_of(const AccountEntry& entry) {
  return {{"name", entry.name},   {"nodes", entry.nodes},
          {"bytes", entry.bytes}, {"accessed_bytes", entry.accessed_bytes},
          {"flops", entry.flops}, {"us", entry.us}};
}

Json json_of(const std::vector<AccountEntry>& entries) {
  Json list = Json::array();
  for (const AccountEntry& entry : entries) list.push_back(json_of(entry));
  return list;
}

}  // namespace

void print_account(Report& report, const StepAccount& account, int64_t samples, bool json) {
  const AccountEntry& total = account.total;
  const double per_s = 1e6 * static_cast<double>(samples) / total.us;
  report.fact("graph", fmt::format("{} nodes", readable_count(total.nodes)), "nodes", total.nodes);
  report.fact("memory traffic",
              fmt::format("{:.3f} GB; warps access {:.1f} times as much",
                          static_cast<double>(total.bytes) / 1e9, repeats(total)),
              "bytes", total.bytes);
  report.value("accessed_bytes", total.accessed_bytes);
  report.fact("arithmetic", readable_decimal(static_cast<int64_t>(total.flops), "FLOP"), "flops",
              total.flops);
  report.fact("step", fmt::format("{:.3f} ms predicted", total.us / 1e3), "ms_per_step", total.us / 1e3);
  report.fact("speed", fmt::format("{} samples/s predicted", readable_count(std::llround(per_s))),
              "samples_per_s", per_s);
  report.value("parts", json_of(account.parts));
  report.value("kernels", json_of(account.kernels));
  Json layers = Json::array(), nodes = Json::array();
  for (const StepAccount::Layer& layer : account.layers) {
    layers.push_back(json_of(layer.sum));
    layers.back()["forward_us"] = layer.forward_us;
    layers.back()["backward_us"] = layer.backward_us;
  }
  for (const AccountedNode& node : account.nodes) {
    nodes.push_back(json_of(node));
    nodes.back()["part"] = static_cast<int>(node.part);
    nodes.back()["layer"] = node.layer;
  }
  report.value("layers", layers);
  report.value("graph_nodes", nodes);
  report.print(json);
  if (json) return;
  print_entries("part", account.parts, total, /*with_total=*/true);
  print_entries("kernel", account.kernels, total, /*with_total=*/false);
  print_layers(account);
}

}  // namespace lockstep
