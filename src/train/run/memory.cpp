#include "src/train/run/memory.h"

#include <algorithm>
#include <array>
#include <utility>

#include "comm/cost/measure_link.h"
#include "comm/reduce/gradient_reducer.h"
#include "io/dataset/loader.h"
#include "src/core/cores.h"
#include "src/graph/network.h"
#include "src/graph/rewrites/rewrites.h"
#include "src/optim/optimizer.h"
#include "src/train/augment/augmenter.h"
#include "src/train/run/run_settings.h"
#include "src/train/step/micro_batch.h"
#include "src/train/step/sharding.h"

namespace lockstep {

namespace {

constexpr auto kFloat = static_cast<int64_t>(sizeof(float));

/// Bytes of one stored sample with its targets.
struct SampleBytes {
  explicit SampleBytes(const DataSignature& data)
      : x(data.x_shape.elements() * static_cast<int64_t>(size_of(data.x_dtype))),
        y(data.y_shape.elements() * kFloat) {}  // int32 or float
  int64_t x, y;
  static constexpr int64_t kIndex = sizeof(int64_t);

  int64_t all() const { return x + y + kIndex; }
};

/// Bytes of the longest all-reduce.
int64_t longest_all_reduce(const MemoryFacts& facts) {
  if (facts.ranks == 1) return 0;
  // The choice of the bucket size measures all-reduces, and their memory is kept.
  const int64_t measured = facts.options.comm.bucket_bytes > 0 ? 0 : kMaxMeasuredFloats;
  return std::max(facts.longest_bucket, measured) * kFloat;
}

/// Bytes of the weights that layers read, if they are narrower than the master weights.
int64_t working_copy_bytes(const MemoryFacts& facts) {
  const DType type = activation_type(facts.options.run.precision);
  return type == DType::f32 ? 0 : facts.layout.weights_size * static_cast<int64_t>(size_of(type));
}

bool uses_nccl(const MemoryFacts& facts) {
  return facts.on_cuda && facts.options.comm.transport != Transport::mpi;
}

/// The work of a layer's backward in units of its forward: one for each of the gradients that it computes.
int backward_passes(const Graph& graph, const Plan::Step& step) {
  const Graph::Node& node = graph.nodes()[static_cast<size_t>(step.event.node)];
  const bool to_inputs = std::ranges::any_of(
      step.input_gradients, [](const Plan::Placement& placement) { return placement.offset >= 0; });
  // A product of two activations has two gradients, like one of an activation and a weight.
  const bool to_weights = node.layer->parameters().empty() ? to_inputs : !graph.frozen(step.event.node);
  return (to_inputs ? 1 : 0) + (to_weights ? 1 : 0);
}

int64_t flops_of(const Graph& graph, const Plan& plan) {
  int64_t flops = 0;
  for (const Plan::Step& step : plan.steps()) {
    if (step.event.kind == Event::Kind::loss || !step.runs) continue;
    const int64_t forward = graph.nodes()[static_cast<size_t>(step.event.node)].layer->flops();
    if (step.event.kind == Event::Kind::forward || step.event.kind == Event::Kind::recompute)
      flops += forward;
    if (step.event.kind == Event::Kind::backward) flops += backward_passes(graph, step) * forward;
  }
  return flops;
}

/// The batches of a rank. Any train.micro_batch is accepted: memory depends on it, not on how many there are.
Batching planned_batches(TrainOptions options, int ranks, int lanes, const MicroBatchNeeds& needs) {
  const int64_t unit = ranks * options.train.micro_batch;
  if (unit > 0 && options.train.global_batch % unit != 0) options.train.global_batch = unit;
  return plan_batches(options, ranks, lanes, needs);
}

}  // namespace

std::span<const MemoryPurpose> memory_purposes() {
  static constexpr std::array<MemoryPurpose, 10> kPurposes = {{
      {"weights", "weights_bytes", &TrainingMemory::weights, true},
      {"gradients", "gradients_bytes", &TrainingMemory::gradients, true},
      {"optimizer", "optimizer_bytes", &TrainingMemory::optimizer, true},
      {"activations", "activations_bytes", &TrainingMemory::activations, true},
      {"samples", "samples_bytes", &TrainingMemory::samples, true},
      {"evaluation", "evaluation_bytes", &TrainingMemory::evaluation, true},
      {"all-reduces", "communication_bytes", &TrainingMemory::communication, true},
      {"all-reduces by MPI", "staging_bytes", &TrainingMemory::staging, false},
      {"batches read ahead", "loader_bytes", &TrainingMemory::loader, false},
      {"checkpoints", "snapshot_bytes", &TrainingMemory::snapshot, false},
  }};
  return kPurposes;
}

int64_t TrainingMemory::total() const {
  int64_t sum = 0;
  for (const MemoryPurpose& purpose : memory_purposes()) sum += this->*purpose.bytes;
  return sum;
}

BufferBytes TrainingMemory::on(bool cuda) const {
  BufferBytes result;
  for (const MemoryPurpose& purpose : memory_purposes())
    (cuda && purpose.on_device ? result.device : result.host) += this->*purpose.bytes;
  return result;
}

TrainingMemory training_memory(const MemoryFacts& facts) {
  const TrainOptions& options = facts.options;
  const ParameterLayout& layout = facts.layout;
  const Batching& batching = facts.batching;
  const SampleBytes sample(facts.data);
  const bool sharded = options.optimizer.sharded && facts.ranks > 1;
  const int busy = std::min(facts.lanes, batching.micro_batches);
  const bool evaluates = facts.evaluation_arena > 0;
  const int64_t evaluated = evaluates ? facts.lanes * facts.evaluation_batch : 0;
  const int64_t read_ahead = facts.loader_batches * batching.rank_batch();
  const bool gpu_direct = options.data.gpu_direct && facts.on_cuda;
  return {
      .weights = (layout.weights_size + layout.states_size) * kFloat + working_copy_bytes(facts),
      .gradients = gradient_buffers(batching.micro_batches, busy) * layout.reduced_size() * kFloat,
      .optimizer = optimizer_bytes(options.optimizer, layout.blocks, sharded ? facts.ranks : 1) +
                   (sharded ? sharding_bytes(layout, facts.ranks) : 0),
      .activations = busy * facts.training_arena,
      .samples = input_sets(facts.on_cuda) * batching.rank_batch() * sample.all() +
                 (gpu_direct ? read_ahead * sample.x : 0) + busy * facts.augmentation,
      .evaluation = (evaluates ? facts.lanes * facts.evaluation_arena : 0) +
                    input_sets(facts.on_cuda) * evaluated * sample.all(),
      .communication = uses_nccl(facts) ? longest_all_reduce(facts) : 0,
      // MPI on a GPU: page-locked memory to which the bucket is copied, and the scratch itself.
      .staging = uses_nccl(facts) ? 0 : (facts.on_cuda ? 2 : 1) * longest_all_reduce(facts),
      .loader = (read_ahead + facts.evaluation_batches * evaluated) * sample.all() -
                (gpu_direct ? read_ahead * sample.x : 0),
      .snapshot = (layout.weights_size + layout.states_size +
                   optimizer_states(options.optimizer) * layout.trained_size) *
                  kFloat,
  };
}

MemoryForecast forecast_memory(Exec exec, const Graph& graph, const TrainOptions& options,
                               const DataSignature& data, int ranks) {
  const Graph rewritten =
      rewrite(tuned(graph.clone(), options.optimizer.tuning), options.train.recompute, options.run.precision);
  const Graph trained = trained_graph(rewritten, Objective(exec, options, data));
  const ParameterLayout layout(rewritten);
  const int cores = static_cast<int>(usable_cores().size());
  MemoryForecast forecast;
  forecast.lanes = exec.on_cuda()            ? 1
                   : options.run.threads > 0 ? options.run.threads
                                             : std::max(1, cores / ranks);
  forecast.batching = planned_batches(options, ranks, forecast.lanes, micro_batch_needs(exec, trained));
  const Plan plan = plan_network(exec, trained, forecast.batching.micro_batch, /*training=*/true);
  const int64_t evaluated = evaluation_batch(options);
  forecast.training_arena = plan.arena_bytes();
  forecast.unshared = plan.unshared_bytes();
  forecast.training_flops = flops_of(trained, plan);
  for (const Plan::Step& step : plan.steps())
    forecast.workspace = std::max(forecast.workspace, step.workspace.bytes);
  const int64_t bucket_bytes =
      options.comm.bucket_bytes > 0 ? options.comm.bucket_bytes : layout.reduced_size() * kFloat;
  int64_t longest = 0;
  for (const Bucket& bucket : make_buckets(layout.ready_ends, bucket_bytes))
    longest = std::max(longest, bucket.size);
  const auto augmentation = [&](const Batching& batches, Augmenter::Purpose purpose) -> int64_t {
    if (options.data.augment.empty()) return 0;
    const Task task(exec, options, data);
    return Augmenter(task, graph.shape(0), batches.micro_batch, batches.micro_batches, /*lanes=*/0, purpose)
        .lane_bytes();
  };
  // Samples in memory are gathered when they are needed, except for a GPU.
  const int batches_held = Loader::Options{.threads = exec.on_cuda() ? 1 : 0}.batches_held();
  forecast.memory = training_memory(
      {.options = options,
       .layout = layout,
       .data = data,
       .batching = forecast.batching,
       .evaluation_batch = evaluated,
       .ranks = ranks,
       .lanes = forecast.lanes,
       .on_cuda = exec.on_cuda(),
       .longest_bucket = longest,
       .training_arena = forecast.training_arena,
       .augmentation = augmentation(forecast.batching, Augmenter::Purpose::training),
       .evaluation_arena = plan_network(exec, rewritten, evaluated, /*training=*/false).arena_bytes() +
                           augmentation({evaluated, evaluated, 1}, Augmenter::Purpose::evaluation),
       .loader_batches = batches_held,
       .evaluation_batches = batches_held});
  return forecast;
}

}  // namespace lockstep
