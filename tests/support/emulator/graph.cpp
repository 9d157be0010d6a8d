#include "tests/support/emulator/graph.h"

#include <algorithm>
#include <memory>
#include <set>

#include "tests/support/emulator/error.h"
#include "tests/support/emulator/queue.h"

namespace emulator {

std::vector<size_t> Capture::last(CUstream_st* stream) const {
  const auto found = last_.find(stream);
  return found == last_.end() ? std::vector<size_t>{} : found->second;
}

void Capture::add(CUstream_st* stream, int priority, Work work, When when) {
  nodes.push_back({std::move(work), when, last(stream), priority, account::current_label()});
  last_[stream].assign(1, nodes.size() - 1);
}

void Capture::join(CUstream_st* stream, const std::vector<size_t>& others) {
  std::vector<size_t>& last = last_[stream];
  last.insert(last.end(), others.begin(), others.end());
}

bool Capture::all_joined() const {
  std::set<size_t> reached;
  std::vector<size_t> open = last(origin);
  while (!open.empty()) {
    const size_t node = open.back();
    open.pop_back();
    if (!reached.insert(node).second) continue;
    open.insert(open.end(), nodes[node].after.begin(), nodes[node].after.end());
  }
  return reached.size() == nodes.size();
}

namespace {

/// Runs all nodes, of those that may run a random one next.
void run_graph(const std::vector<Node>& nodes) {
  std::vector<bool> done(nodes.size(), false);
  const Moment start = current_moment();
  const size_t first_node = account::begin_graph(nodes.size());
  std::vector<Moment> ends(nodes.size(), start);
  for (size_t count = 0; count < nodes.size(); ++count) {
    std::vector<size_t> ready;
    for (size_t i = 0; i < nodes.size(); ++i)
      if (!done[i] && std::all_of(nodes[i].after.begin(), nodes[i].after.end(),
                                  [&](size_t before) { return done[before]; }))
        ready.push_back(i);
    const size_t next = ready[random_below(static_cast<unsigned>(ready.size()))];
    Moment begin = start;
    for (const size_t before : nodes[next].after) begin = std::max(begin, ends[before]);
    const account::NodeScope scope(first_node + next, nodes[next].label);
    ends[next] = run_timed(nodes[next].work, begin);
    done[next] = true;
  }
  for (const Moment end : ends) go_on_at(end);
}

}  // namespace

}  // namespace emulator

struct CUgraphExec_st {
  std::shared_ptr<const std::vector<emulator::Node>> nodes;
};

struct CUgraphNode_st {
  cudaGraphNodeType type;
};

cudaError_t cudaGraphNodeGetType(cudaGraphNode_t node, cudaGraphNodeType* type) {
  *type = node->type;
  return cudaSuccess;
}

cudaError_t cudaStreamGetCaptureInfo(cudaStream_t stream, cudaStreamCaptureStatus* status,
                                     unsigned long long*, cudaGraph_t*, const cudaGraphNode_t** nodes,
                                     const cudaGraphEdgeData**, size_t* count) {
  static const CUgraphNode_st kernel{cudaGraphNodeTypeKernel}, other{cudaGraphNodeTypeHost};
  static thread_local std::vector<cudaGraphNode_t> given;
  return emulator::running([&] {
    given.clear();
    *status = stream->capture == nullptr ? cudaStreamCaptureStatusNone : cudaStreamCaptureStatusActive;
    if (stream->capture != nullptr)
      for (const size_t node : stream->capture->last(stream))
        given.push_back(stream->capture->nodes[node].is_kernel ? &kernel : &other);
    *nodes = given.data();
    *count = given.size();
    return cudaSuccess;
  });
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long flags) {
  *executable = nullptr;
  // Streams run in any order here, so a priority changes nothing; but it must not be lost.
  const bool keeps_priorities = flags == cudaGraphInstantiateFlagUseNodePriority;
  const bool has_priorities =
      std::any_of(graph->nodes.begin(), graph->nodes.end(),
                  [&](const emulator::Node& node) { return node.priority != graph->nodes.front().priority; });
  if (!keeps_priorities && (flags != 0 || has_priorities)) return emulator::report(cudaErrorInvalidValue);
  *executable = new CUgraphExec_st{std::make_shared<std::vector<emulator::Node>>(graph->nodes)};
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  return emulator::running([&] {
    const auto nodes = executable->nodes;
    const bool at_once = std::any_of(nodes->begin(), nodes->end(), [](const emulator::Node& node) {
      return node.when == emulator::When::at_once;
    });
    emulator::enqueue(
        stream, [nodes] { emulator::run_graph(*nodes); },
        at_once ? emulator::When::at_once : emulator::When::later);
    return cudaSuccess;
  });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}
