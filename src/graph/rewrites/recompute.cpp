#include <algorithm>
#include <set>

#include "src/core/error.h"
#include "src/core/text/suggest.h"
#include "src/core/text/wildcard.h"
#include "src/graph/rewrites/rewrites.h"

namespace lockstep {

namespace {

/// "layer1.0" for "layer1.0.conv1"; "" for a layer outside blocks.
std::string block_of(const std::string& layer) {
  const size_t dot = layer.rfind('.');
  return dot == std::string::npos ? "" : layer.substr(0, dot);
}

[[noreturn]] void fail_unknown(const Graph& graph, const std::string& pattern) {
  std::set<std::string> known;
  for (const Graph::Node& node : graph.nodes()) {
    known.insert(node.name);
    if (const std::string block = block_of(node.name); !block.empty()) known.insert(block);
  }
  const std::vector<std::string> list(known.begin(), known.end());
  fail(ExitCode::usage, "train.recompute: no layer or block is named '{}'{}", pattern,
       suggestion(pattern, list));
}

}  // namespace

Graph recompute(Graph graph, const std::vector<std::string>& blocks) {
  const bool all_blocks = blocks == std::vector<std::string>{"blocks"};
  if (blocks.empty() || blocks == std::vector<std::string>{"none"}) return graph;
  std::vector<Graph::Node>& nodes = graph.nodes();
  const auto chosen = [&](const Graph::Node& node) {
    if (all_blocks) return !block_of(node.name).empty();
    return std::ranges::any_of(
        blocks, [&](const std::string& pattern) { return matches_name_or_block(pattern, node.name); });
  };
  for (const std::string& pattern : blocks)
    if (!all_blocks && std::ranges::none_of(nodes, [&](const Graph::Node& node) {
          return matches_name_or_block(pattern, node.name);
        }))
      fail_unknown(graph, pattern);
  int segment = -1;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (!chosen(nodes[i])) continue;
    const bool continues = i > 0 && nodes[i - 1].segment == segment && segment >= 0 &&
                           block_of(nodes[i - 1].name) == block_of(nodes[i].name);
    nodes[i].segment = continues ? segment : ++segment;
  }
  if (segment < 0)
    fail(ExitCode::usage,
         "train.recompute = \"blocks\", but the model has no blocks. Name layers instead, as in "
         "train.recompute = [\"conv*\"].");
  return graph;
}

}  // namespace lockstep
