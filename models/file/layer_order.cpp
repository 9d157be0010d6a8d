#include "models/file/layer_order.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <vector>

namespace lockstep {

namespace {

/// A table, and what it says of its place. Wrong types are somebody else's mistake.
struct Entry {
  const toml::table* table = nullptr;
  std::string name;
  std::vector<std::string> inputs = {};
};

std::vector<Entry> entries_of(const toml::array& tables) {
  std::vector<Entry> entries;
  std::map<std::string, int> unnamed;
  for (const toml::node& node : tables) {
    const toml::table* table = node.as_table();
    if (table == nullptr) continue;
    const std::string kind = (*table)[table->contains("block") ? "block" : "kind"].value_or(std::string());
    Entry entry{table, (*table)["name"].value_or(std::string())};
    if (!table->contains("name")) entry.name = fmt::format("{}_{}", kind, ++unnamed[kind]);
    if (const auto input = (*table)["input"].value<std::string>()) entry.inputs.push_back(*input);
    if (const toml::array* inputs = (*table)["inputs"].as_array())
      for (const toml::node& input : *inputs)
        if (const auto name = input.value<std::string>()) entry.inputs.push_back(*name);
    if (!table->contains("input") && !table->contains("inputs") && !entries.empty())
      entry.inputs.push_back(entries.back().name);
    entries.push_back(std::move(entry));
  }
  return entries;
}

constexpr size_t kNone = static_cast<size_t>(-1);

size_t find(const std::vector<Entry>& entries, const std::string& name) {
  const auto found = std::ranges::find(entries, name, &Entry::name);
  return found == entries.end() ? kNone : static_cast<size_t>(found - entries.begin());
}

/// The shortest way from one entry to another along inputs, both included; empty if there is none.
std::vector<size_t> way(const std::vector<Entry>& entries, size_t from, size_t to) {
  std::vector<size_t> came_from(entries.size(), kNone), reached{from};
  came_from[from] = from;
  for (size_t i = 0; i < reached.size(); ++i) {
    for (const std::string& input : entries[reached[i]].inputs) {
      const size_t next = find(entries, input);
      if (next == kNone || came_from[next] != kNone) continue;
      came_from[next] = reached[i];
      reached.push_back(next);
    }
  }
  if (came_from[to] == kNone) return {};
  std::vector<size_t> result{to};
  while (result.back() != from) result.push_back(came_from[result.back()]);
  std::ranges::reverse(result);
  return result;
}

}  // namespace

std::string order_mistake(const toml::array& tables, const toml::table& reader, const std::string& wanted) {
  const std::vector<Entry> entries = entries_of(tables);
  const size_t read = find(entries, wanted);
  const auto at = std::ranges::find(entries, &reader, &Entry::table);
  if (read == kNone || at == entries.end()) return "";
  const auto reading = static_cast<size_t>(at - entries.begin());
  if (read == reading) return "a cycle: it reads its own output.";
  const std::vector<size_t> back = way(entries, read, reading);
  if (back.empty())
    return fmt::format("'{}' comes later, in line {}. A layer reads layers above it: move one of the two.",
                       wanted, static_cast<size_t>(entries[read].table->source().begin.line));
  std::string text = fmt::format("a cycle: '{}' reads '{}'", entries[reading].name, wanted);
  for (size_t i = 1; i < back.size(); ++i) text += fmt::format(", which reads '{}'", entries[back[i]].name);
  return text + ". A layer reads layers above it only.";
}

}  // namespace lockstep
