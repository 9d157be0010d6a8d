#include "src/train/step/batching.h"

#include <algorithm>

#include "src/core/counted.h"
#include "src/core/error.h"
#include "src/graph/network.h"

namespace lockstep {

namespace {

/// Smaller micro-batches cost more than they save, and have too few samples for batch norm.
constexpr int64_t kFewSamples = 32;

int64_t largest_divisor(int64_t n, int64_t at_most) {
  int64_t divisor = std::min(n, at_most);
  while (n % divisor != 0) --divisor;
  return divisor;
}

/// The smallest divisor of n that is not below `min`, or n; in about sqrt(n) steps.
int64_t smallest_divisor(int64_t n, int64_t min) {
  if (n <= min) return n;
  int64_t divisor = min;
  for (; divisor <= n / divisor; ++divisor)
    if (n % divisor == 0) return divisor;
  return n / largest_divisor(n, n / divisor);
}

/// "Try 960 or 1008": the multiples of `unit` next to n.
std::string neighbours(int64_t n, int64_t unit) {
  const int64_t below = n / unit * unit, above = below + unit;
  return below == 0 ? fmt::format("Try {}", above) : fmt::format("Try {} or {}", below, above);
}

Batching plan_reproducible(const TrainOptions& options, int ranks, const MicroBatchNeeds& needs) {
  const int64_t global = options.train.global_batch;
  const int64_t micro = options.train.micro_batch != 0  ? options.train.micro_batch
                        : needs.statistics_samples != 0 ? smallest_divisor(global, kFewSamples)
                                                        : largest_divisor(global, kFewSamples);
  if (global % micro != 0)
    fail(ExitCode::usage, "train.global_batch = {} is not a multiple of train.micro_batch = {}. {}.", global,
         micro, neighbours(global, micro));
  const int64_t pieces = global / micro;
  // The largest power of two that divides the number of micro-batches is the maximum number of ranks.
  int64_t max_ranks = 1;
  while (pieces % (2 * max_ranks) == 0) max_ranks *= 2;
  if (ranks > max_ranks || (ranks & (ranks - 1)) != 0) {
    int64_t below = 1;
    while (2 * below <= std::min<int64_t>(ranks, max_ranks)) below *= 2;
    const int64_t above = 2 * below;
    const std::string nearest =
        above <= max_ranks && above - ranks < ranks - below ? std::to_string(above) : std::to_string(below);
    fail(ExitCode::usage,
         "run.reproducible = true needs a number of ranks that is a power of two and divides the {} "
         "micro-batches of a step (global_batch {} / micro_batch {}); {} ranks were started. The nearest "
         "allowed number is {}; a smaller train.micro_batch allows more ranks.",
         pieces, global, micro, ranks, nearest);
  }
  return {global, micro, static_cast<int>(pieces / ranks)};
}

/// Chooses the micro-batch size of a rank with rank_batch samples.
int64_t choose_micro_batch(const TrainOptions& options, int64_t rank_batch, int lanes,
                           const MicroBatchNeeds& needs) {
  const bool has_statistics = needs.statistics_samples != 0;
  if (has_statistics && !options.train.sync_batch_norm)
    return smallest_divisor(rank_batch, needs.statistics_samples);
  const int64_t micro = rank_batch / largest_divisor(rank_batch, lanes);
  // Samples that are normalized together must be computed at the same time.
  if (has_statistics) return micro;
  const int64_t smaller = largest_divisor(micro, needs.max_samples);
  return 2 * smaller >= kFewSamples ? smaller : micro;
}

void check_variance(const Batching& batching, const TrainOptions& options, int ranks, int lanes,
                    const MicroBatchNeeds& needs) {
  if (needs.vector_norm.empty()) return;
  const int64_t together =
      options.train.sync_batch_norm ? ranks * std::min(lanes, batching.micro_batches) : 1;
  if (batching.micro_batch * together > 1) return;
  const std::string cause = options.train.micro_batch == 1 ? "train.micro_batch = 1"
                            : batching.global_batch == 1
                                ? "train.global_batch = 1"
                                : fmt::format("train.global_batch = {} in {} pieces", batching.global_batch,
                                              ranks * batching.micro_batches);
  fail(ExitCode::usage,
       "layer '{}' (batch_norm) would normalize each sample by itself, and a single value has no variance: "
       "{}. Use micro-batches of at least 2 samples, better 32{}.",
       needs.vector_norm, cause,
       options.run.reproducible || batching.global_batch == 1 || options.train.sync_batch_norm
           ? ""
           : ", or train.sync_batch_norm = true, which joins the samples of all ranks and threads");
}

}  // namespace

Batching plan_batches(const TrainOptions& options, int ranks, int lanes, const MicroBatchNeeds& needs) {
  const int64_t global = options.train.global_batch;
  for (const auto& [key, value] :
       {std::pair{"global_batch", global}, std::pair{"micro_batch", options.train.micro_batch},
        std::pair{"accumulation", options.train.accumulation}})
    if (value < 0 || (value == 0 && std::string_view(key) == "global_batch"))
      fail(ExitCode::usage, "train.{} = {} must be positive.", key, value);
  if (options.run.reproducible) {
    const Batching batching = plan_reproducible(options, ranks, needs);
    if (options.train.accumulation != 0 && options.train.accumulation != batching.micro_batches)
      fail(ExitCode::usage,
           "train.accumulation = {} does not fit: with {}, each rank has {} of {}. Remove the key.",
           options.train.accumulation, counted(ranks, "rank"),
           counted(batching.micro_batches, "micro-batch", "micro-batches"), batching.micro_batch);
    check_variance(batching, options, ranks, lanes, needs);
    return batching;
  }
  if (global % ranks != 0)
    fail(ExitCode::usage, "train.global_batch = {} does not divide over {} ranks. {}.", global, ranks,
         neighbours(global, ranks));
  const int64_t rank_batch = global / ranks;
  int64_t micro = options.train.micro_batch;
  if (micro == 0 && options.train.accumulation != 0) {
    const int64_t pieces = options.train.accumulation;
    if (rank_batch % pieces != 0)
      fail(ExitCode::usage, "train.global_batch = {} does not divide over {} x {}. {}.", global,
           counted(ranks, "rank"), counted(pieces, "micro-batch", "micro-batches"),
           neighbours(global, ranks * pieces));
    micro = rank_batch / pieces;
  }
  if (micro == 0) micro = choose_micro_batch(options, rank_batch, lanes, needs);
  const int64_t accumulation =
      options.train.accumulation != 0 ? options.train.accumulation : std::max<int64_t>(1, rank_batch / micro);
  const int64_t unit = ranks * micro * accumulation;
  if (global != unit) {
    const int64_t step = ranks * micro;
    if (options.train.accumulation != 0)
      fail(ExitCode::usage,
           "train.global_batch = {} is not {} x micro_batch {} x accumulation {} = {}. Remove one of the "
           "three keys.",
           global, counted(ranks, "rank"), micro, accumulation, unit);
    fail(ExitCode::usage, "train.global_batch = {} does not divide over {} per step ({} x {}). {}.", global,
         counted(step, "sample"), counted(ranks, "rank"), micro, neighbours(global, step));
  }
  const Batching batching{global, micro, static_cast<int>(accumulation)};
  check_variance(batching, options, ranks, lanes, needs);
  return batching;
}

MicroBatchNeeds micro_batch_needs(Exec exec, const Graph& graph) {
  MicroBatchNeeds needs;
  for (int i = 0; i < graph.output(); ++i) {
    const Graph::Node& node = graph.nodes()[static_cast<size_t>(i)];
    const int64_t values = node.layer->traits().statistics_per_sample;
    if (values == 0 || graph.frozen(i)) continue;
    needs.statistics_samples = exec.on_cuda() ? std::numeric_limits<int64_t>::max() : kFewSamples;
    if (values == 1 && needs.vector_norm.empty()) needs.vector_norm = node.name;
  }
  if (exec.on_cuda()) return needs;
  // Per core: its own cache and a share of the common one. Values from 4 to 16 MiB perform alike.
  constexpr int64_t kCacheBytes = int64_t{8} << 20;
  const int64_t bytes = plan_network(exec, graph, kFewSamples, /*training=*/true).arena_bytes();
  needs.max_samples = std::max(kFewSamples, kFewSamples * kCacheBytes / std::max<int64_t>(1, bytes));
  return needs;
}

std::string describe_statistics(const Batching& batching, const TrainOptions& options, int ranks, int lanes,
                                const MicroBatchNeeds& needs) {
  if (needs.statistics_samples == 0) return "";
  const int busy = std::min(lanes, batching.micro_batches);
  if (options.train.sync_batch_norm) {
    const int64_t together = ranks * busy * batching.micro_batch;
    return together == batching.global_batch
               ? fmt::format("statistics over all {} samples of a step", together)
               : fmt::format("statistics over {} samples at a time, {} x {} x {}", together,
                             counted(ranks, "rank"), counted(busy, "thread"), batching.micro_batch);
  }
  std::string text =
      fmt::format("statistics over {}, one micro-batch", counted(batching.micro_batch, "sample"));
  if (busy < lanes) {
    text += fmt::format("; {} of {} threads compute", busy, lanes);
    if (!options.run.reproducible)
      text +=
          " (train.sync_batch_norm = true uses more, and takes the statistics over all samples of a step)";
  }
  return text;
}

}  // namespace lockstep
