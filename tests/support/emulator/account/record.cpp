// The account itself: what each node has done.
#include <optional>
#include <utility>

#include "tests/support/emulator/account/account.h"
#include "tests/support/emulator/account/blocks.h"
#include "tests/support/emulator/account/sectors.h"
#include "tests/support/emulator/device_functions.h"
#include "tests/support/emulator/kernels.h"

namespace emulator::account {

namespace {

bool recording = false, all_blocks = false;
std::vector<Node> recorded;
std::optional<size_t> current;  ///< the node of a graph that runs

std::function<Label()>& label_source() {
  static std::function<Label()> source;
  return source;
}

/// Where the work that runs is counted.
Node& node() {
  if (current) return recorded[*current];
  return recorded.emplace_back();
}

}  // namespace

Recording::Recording(bool all) {
  recording = true;
  all_blocks = all;
  recorded.clear();
}

Recording::~Recording() { recording = false; }

const std::vector<Node>& Recording::nodes() const { return recorded; }

void set_label_source(std::function<Label()> source) { label_source() = std::move(source); }

Label current_label() { return label_source() ? label_source()() : Label{}; }

size_t begin_graph(size_t nodes) {
  const size_t first = recorded.size();
  if (recording) recorded.resize(first + nodes);
  return first;
}

NodeScope::NodeScope(size_t number, const Label& label) {
  if (!recording) return;
  current = number;
  recorded[number].label = label;
  recorded[number].captured = true;
}

NodeScope::~NodeScope() { current.reset(); }

void count_kernel(const LaunchShape& shape, const Kernel& kernel, std::span<std::byte> dynamic_shared,
                  const std::function<void(uint64_t)>& run_block) {
  if (!recording) return;
  const dim3 &grid = shape.grid, &block = shape.block;
  const uint64_t blocks = uint64_t{grid.x} * grid.y * grid.z;
  // Blocks of another z may read what those before have read, which only shows if all of them run.
  const bool all = all_blocks || grid.z > 1;
  std::vector<std::span<std::byte>> shared = kernel.shared;
  shared.push_back(dynamic_shared);
  begin_launch(shared);
  const LaunchCounts counts = count_blocks(blocks, all, [&](uint64_t number, Touch touch) {
    begin_block(block.x * block.y * block.z);
    run_block(number);
    return end_block(touch);
  });
  end_launch();
  Node& result = node();
  result.name = kernel.name;
  result.read_bytes = counts.sum.new_read * kSectorBytes;
  result.written_bytes = counts.sum.new_written * kSectorBytes;
  result.accessed_bytes = counts.sum.accessed * kSectorBytes;
  result.flops = 2 * counts.sum.fused_operations;
  result.matrix_flops = 2 * counts.sum.matrix_operations;
  result.shared_accesses = counts.sum.shared_accesses;
  result.blocks = blocks;
  result.emulated_blocks = counts.emulated;
}

void count_call(std::string_view name, Arithmetic arithmetic, uint64_t flops, uint64_t read_bytes,
                uint64_t written_bytes) {
  if (!recording) return;
  Node& result = node();
  result.name = name;
  result.arithmetic = arithmetic;
  result.flops = flops;
  result.read_bytes = read_bytes;
  result.written_bytes = written_bytes;
  result.accessed_bytes = read_bytes + written_bytes;
}

}  // namespace emulator::account
