#include "src/train/batching.h"

#include <algorithm>
#include <limits>

#include "src/core/error.h"
#include "src/graph/network.h"

namespace lockstep {

namespace {

/// Fewer samples at a time cost more than they save, and are few for the statistics of batch norm.
constexpr int64_t kFewSamples = 32;

int64_t largest_divisor(int64_t n, int64_t at_most) {
  int64_t divisor = std::min(n, at_most);
  while (n % divisor != 0) --divisor;
  return divisor;
}

/// "Try 960 or 1008": the multiples of `unit` around n.
std::string neighbours(int64_t n, int64_t unit) {
  const int64_t below = n / unit * unit, above = below + unit;
  return below == 0 ? fmt::format("Try {}", above) : fmt::format("Try {} or {}", below, above);
}

Batching plan_reproducible(const TrainOptions& options, int ranks) {
  const int64_t global = options.global_batch;
  const int64_t micro = options.micro_batch != 0 ? options.micro_batch : largest_divisor(global, 32);
  if (global % micro != 0)
    fail(ExitCode::usage, "train.global_batch = {} is not a multiple of train.micro_batch = {}. {}.", global,
         micro, neighbours(global, micro));
  const int64_t pieces = global / micro;
  // Halving the number of micro-batches as long as that is possible gives the most ranks that the tree
  // allows.
  int64_t most = 1;
  while (pieces % (2 * most) == 0) most *= 2;
  if (ranks > most || (ranks & (ranks - 1)) != 0) {
    int64_t below = 1;
    while (2 * below <= std::min<int64_t>(ranks, most)) below *= 2;
    const int64_t above = 2 * below;
    const std::string nearest =
        above <= most && above - ranks < ranks - below ? std::to_string(above) : std::to_string(below);
    fail(
        ExitCode::usage,
        "run.reproducible = true needs a number of ranks that is a power of two and divides the {} "
        "micro-batches of a "
        "step (global_batch {} / micro_batch {}); {} ranks were started. The nearest allowed number is {}; a "
        "smaller train.micro_batch allows more ranks.",
        pieces, global, micro, ranks, nearest);
  }
  return {global, micro, static_cast<int>(pieces / ranks)};
}

}  // namespace

Batching plan_batches(const TrainOptions& options, int ranks, int lanes, int64_t most) {
  const int64_t global = options.global_batch;
  for (const auto& [key, value] :
       {std::pair{"global_batch", global}, std::pair{"micro_batch", options.micro_batch},
        std::pair{"accumulation", options.accumulation}})
    if (value < 0 || (value == 0 && std::string_view(key) == "global_batch"))
      fail(ExitCode::usage, "train.{} = {} must be positive.", key, value);
  if (options.reproducible) {
    const Batching batching = plan_reproducible(options, ranks);
    if (options.accumulation != 0 && options.accumulation != batching.micro_batches)
      fail(ExitCode::usage,
           "train.accumulation = {} does not fit: with {} ranks a rank has {} micro-batches of {}. Leave it "
           "out.",
           options.accumulation, ranks, batching.micro_batches, batching.micro_batch);
    return batching;
  }
  if (global % ranks != 0)
    fail(ExitCode::usage, "train.global_batch = {} does not divide over {} ranks. {}.", global, ranks,
         neighbours(global, ranks));
  const int64_t rank_batch = global / ranks;
  int64_t micro = options.micro_batch;
  if (micro == 0) {
    const int64_t pieces =
        options.accumulation != 0 ? options.accumulation : largest_divisor(rank_batch, lanes);
    if (rank_batch % pieces != 0)
      fail(ExitCode::usage, "train.global_batch = {} does not divide over {} ranks x {} micro-batches. {}.",
           global, ranks, pieces, neighbours(global, ranks * pieces));
    micro = rank_batch / pieces;
    if (const int64_t smaller = largest_divisor(micro, most);
        options.accumulation == 0 && 2 * smaller >= kFewSamples)
      micro = smaller;
  }
  const int64_t accumulation =
      options.accumulation != 0 ? options.accumulation : std::max<int64_t>(1, rank_batch / micro);
  const int64_t unit = ranks * micro * accumulation;
  if (global != unit) {
    const int64_t step = ranks * micro;
    if (options.accumulation != 0)
      fail(ExitCode::usage,
           "train.global_batch = {} is not {} ranks x micro_batch {} x accumulation {} = {}. Leave one of "
           "them out.",
           global, ranks, micro, accumulation, unit);
    fail(ExitCode::usage,
         "train.global_batch = {} does not divide over {} samples a step ({} ranks x {}). {}.", global, step,
         ranks, micro, neighbours(global, step));
  }
  return {global, micro, static_cast<int>(accumulation)};
}

int64_t best_micro_batch(Exec exec, const Graph& graph) {
  if (exec.on_cuda()) return std::numeric_limits<int64_t>::max();
  // Of a core: its own cache and a share of the common one. Between 4 and 16 MiB hardly differ.
  constexpr int64_t kCacheBytes = int64_t{8} << 20;
  const int64_t bytes = plan_network(exec, graph, kFewSamples, /*training=*/true).arena_bytes();
  return std::max(kFewSamples, kFewSamples * kCacheBytes / std::max<int64_t>(1, bytes));
}

}  // namespace lockstep
