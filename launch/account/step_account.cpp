#include "launch/account/step_account.h"

#include <algorithm>
#include <functional>

namespace lockstep {

namespace {

using emulator::account::Arithmetic;
using emulator::account::Node;

constexpr const char* kPartNames[] = {"other",    "input",      "forward",  "loss",
                                      "backward", "all-reduce", "optimizer"};

double teraflops(const Ceilings& ceilings, Arithmetic arithmetic) {
  switch (arithmetic) {
    case Arithmetic::tf32:
      return ceilings.tf32_teraflops;
    case Arithmetic::bf16:
      return ceilings.bf16_teraflops;
    default:
      return ceilings.fp32_teraflops;
  }
}

AccountedNode accounted(const Node& node, const Ceilings& ceilings) {
  AccountedNode result;
  result.name = node.name.empty() ? "event" : short_kernel_name(node.name);
  result.nodes = 1;
  result.bytes = node.bytes();
  result.accessed_bytes = node.accessed_bytes;
  result.flops = node.flops + node.matrix_flops;
  const double memory_us = static_cast<double>(result.bytes) / (ceilings.terabytes_per_s * 1e6);
  const double compute_us = static_cast<double>(node.flops) / (teraflops(ceilings, node.arithmetic) * 1e6);
  const double matrix_us = static_cast<double>(node.matrix_flops) / (ceilings.bf16_teraflops * 1e6);
  result.us = std::max({memory_us, compute_us, matrix_us}) + ceilings.node_us;
  result.part = static_cast<StepPart>(node.label.part);
  result.layer = node.label.layer;
  return result;
}

/// The entry of this name, new ones at the end.
template <typename Entry, typename Name>
Entry& entry_named(std::vector<Entry>& entries, const std::string& name, Name name_of) {
  const auto found = std::find_if(entries.begin(), entries.end(),
                                  [&](Entry& entry) { return std::invoke(name_of, entry) == name; });
  if (found != entries.end()) return *found;
  std::invoke(name_of, entries.emplace_back()) = name;
  return entries.back();
}

}  // namespace

void AccountEntry::add(const AccountEntry& other) {
  nodes += other.nodes;
  bytes += other.bytes;
  accessed_bytes += other.accessed_bytes;
  flops += other.flops;
  us += other.us;
}

StepAccount::StepAccount(const std::vector<Node>& recorded, const Ceilings& ceilings) {
  for (const Node& node : recorded)
    if (node.captured) nodes.push_back(accounted(node, ceilings));
  total.name = "total";
  for (const char* const name : kPartNames) parts.push_back({.name = name});
  for (const AccountedNode& node : nodes) {
    total.add(node);
    parts[static_cast<size_t>(node.part)].add(node);
    entry_named(kernels, node.name, &AccountEntry::name).add(node);
    if (node.layer.empty()) continue;
    Layer& layer = entry_named(layers, node.layer, [](Layer& each) -> std::string& { return each.sum.name; });
    layer.sum.add(node);
    (node.part == StepPart::forward ? layer.forward_us : layer.backward_us) += node.us;
  }
  std::erase_if(parts, [](const AccountEntry& part) { return part.nodes == 0; });
  std::stable_sort(kernels.begin(), kernels.end(),
                   [](const AccountEntry& a, const AccountEntry& b) { return a.us > b.us; });
}

std::string short_kernel_name(const std::string& name) {
  std::string result = name;
  for (const std::string prefix : {"void ", "(anonymous namespace)::", "lockstep::", "cuda::"})
    for (size_t at = result.find(prefix); at != std::string::npos; at = result.find(prefix))
      result.erase(at, prefix.size());
  // The parameters, of which the demangled name may have kept a part.
  return result.substr(0, result.find('('));
}

emulator::account::Label account_label() {
  const StepPlace place = step_place();
  return {static_cast<int>(place.part), std::string(place.layer)};
}

}  // namespace lockstep
