#include "launch/report/layer_table.h"

#include <algorithm>
#include <map>

#include "launch/report/report.h"
#include "src/core/counted.h"

namespace lockstep {

namespace {

/// The first `words` words of "layer3.0.conv1".
std::string first_words(const std::string& name, size_t words) {
  size_t end = name.find('.');
  for (size_t word = 1; word < words && end != std::string::npos; ++word) end = name.find('.', end + 1);
  return name.substr(0, end);
}

std::vector<LayerRow> grouped_by(const std::vector<LayerRow>& rows, size_t words) {
  std::vector<LayerRow> groups;
  std::map<std::string, size_t> known;
  for (const LayerRow& row : rows) {
    const auto [found, is_new] = known.try_emplace(first_words(row.name, words), groups.size());
    if (is_new) {
      groups.push_back(row);
      continue;
    }
    LayerRow& group = groups[found->second];
    group.name = found->first;
    group.output = row.output;
    group.layers += row.layers;
    group.parameters += row.parameters;
    group.flops += row.flops;
    group.activation_bytes += row.activation_bytes;
  }
  return groups;
}

std::vector<std::string> cells_of(const LayerRow& row) {
  return {row.layers == 1 ? row.name : fmt::format("{} ({} layers)", row.name, row.layers),
          to_string(row.output), row.parameters == 0 ? "-" : readable_count(row.parameters),
          row.flops == 0 ? "-" : readable_decimal(row.flops),
          row.activation_bytes == 0 ? "-" : readable_bytes(row.activation_bytes)};
}

}  // namespace

std::vector<LayerRow> layer_rows(const Graph& graph, int64_t micro_batch) {
  std::vector<LayerRow> rows;
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    const Graph::Node& node = graph.nodes()[i];
    LayerRow row{.name = node.name, .output = node.output.shape, .flops = node.layer->flops()};
    for (const ParameterSpec& parameter : node.layer->parameters())
      if (graph.holder(static_cast<int>(i), parameter.name) == static_cast<int>(i))
        row.parameters += parameter.shape.elements();
    if (!node.layer->traits().reshape) row.activation_bytes = node.output.batched(micro_batch).bytes();
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<LayerRow> grouped(const std::vector<LayerRow>& rows, size_t max_rows) {
  std::vector<LayerRow> best = grouped_by(rows, 1);
  for (size_t words = 2; best.size() < rows.size(); ++words) {
    std::vector<LayerRow> finer = grouped_by(rows, words);
    if (finer.size() > max_rows) break;
    best = std::move(finer);
  }
  return best;
}

std::string shortened(const std::string& name, size_t width) {
  if (name.size() <= width) return name;
  const size_t kept = width - 3, tail = (kept + 1) / 2;
  return name.substr(0, kept - tail) + "..." + name.substr(name.size() - tail);
}

void print_layers(const std::vector<LayerRow>& rows) {
  constexpr size_t kColumns = 80;
  LayerRow total{.name = "total", .layers = 1};
  std::vector<std::vector<std::string>> cells{{"layer", "output", "parameters", "FLOPs", "activations"}};
  for (const LayerRow& row : rows) {
    cells.push_back(cells_of(row));
    total.parameters += row.parameters;
    total.flops += row.flops;
    total.activation_bytes += row.activation_bytes;
  }
  cells.push_back(cells_of(total));
  cells.back()[1].clear();
  size_t others = 0;
  for (size_t column = 1; column < cells[0].size(); ++column) {
    size_t widest = 0;
    for (const auto& row : cells) widest = std::max(widest, row[column].size());
    others += widest + 2;
  }
  for (auto& row : cells) row[0] = shortened(row[0], others + 8 < kColumns ? kColumns - others : 8);
  print_table(cells, {false, false, true, true, true});
}

}  // namespace lockstep
