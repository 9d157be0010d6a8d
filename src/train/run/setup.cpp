#include "src/train/run/setup.h"

#include <utility>

#include "src/core/hash.h"
#include "src/graph/layers/input/embedding.h"
#include "src/graph/rewrites/rewrites.h"
#include "src/ops/fingerprint.h"
#include "src/ops/supported.h"
#include "src/train/run/run_settings.h"

namespace lockstep {

namespace {

std::unique_ptr<TimedCommunicator> timed(std::unique_ptr<Communicator> communicator) {
  return communicator ? std::make_unique<TimedCommunicator>(std::move(communicator)) : nullptr;
}

std::optional<ReplicaCheck> make_replica_check(const World& world, const TrainOptions& options,
                                               const TrainingSetup& setup) {
  if (options.comm.fingerprint_steps == 0 || world.size() == 1) return std::nullopt;
  if (world.size() > kMaxFingerprintRanks)
    fail(ExitCode::usage, "comm.fingerprint_steps supports at most {} ranks, but there are {}. Set it to 0.",
         kMaxFingerprintRanks, world.size());
  return ReplicaCheck(setup.exec,
                      replicated_tensors(setup.parameters, options.optimizer.name, setup.optimizer,
                                         setup.sharding ? &*setup.sharding : nullptr),
                      options.comm.fingerprint_steps);
}

/// Collective. known: EngineTuner::text() of the run that is resumed.
std::unique_ptr<EngineTuner> make_engine_tuner(World& world, Exec exec, const TrainOptions& options,
                                               const std::string& known) {
  if (!options.run.autotune) return nullptr;
  if (options.run.reproducible)
    fail(ExitCode::usage,
         "run.reproducible = true cannot be combined with run.autotune = true: two runs may choose different "
         "engines, whose results differ in their last bits. Set one of them to false.");
  auto tuner = std::make_unique<EngineTuner>(
      exec, known,
      EngineTuner::Ranks{.measures = world.rank() == 0,
                         .broadcast = [&world](const std::string& text) { return world.broadcast(text); }});
  if (const auto rank = world.find_different(hash_name(tuner->device())))
    fail(
        ExitCode::usage,
        "run.autotune = true needs the same kind of GPU and the same cuDNN on all ranks, but those of rank {} "
        "are not those of rank 0, which has {}. Set it to false.",
        *rank, world.broadcast(tuner->device()));
  return tuner;
}

/// The communicator that sums batch norm statistics; null if each micro-batch has its own.
Communicator* communicator_for_statistics(const TrainOptions& options, TrainingSetup& setup) {
  if (!options.train.sync_batch_norm) return nullptr;
  return setup.statistics ? setup.statistics.get() : &setup.communicator;
}

/// Throws Error(usage) if an output does not have the shape of the targets, such as that of a mask.
void check_outputs(const Graph& graph, const NetworkOutput& needed) {
  for (const Graph::Output& output : graph.outputs())
    if (const Shape& shape = graph.shape(output.value); !needed.accepts(shape))
      fail(ExitCode::usage,
           "the model's output '{}' is {} for a sample, but the targets need {}. Use a model that keeps the "
           "extents of the targets, or targets of the extents of its output.",
           output.name, to_string(shape), to_string(needed.shape()));
}

Graph make_graph(const TrainOptions& options, const Task& task, const ModelFactory& model) {
  require_supported(task.exec(), options.run.precision);
  Graph graph = model(task.input(), task.objective().network_output());
  check_outputs(graph, task.objective().network_output());
  // The ids that occur as inputs are those that are predicted.
  if (options.data.task == TargetTask::tokens) check_entries(graph, task.objective().outputs());
  // Only the tuner finds out where sums are faster; and statistics over several micro-batches start with the
  // sums of each, which are taken in another way.
  const bool sums = options.run.autotune && task.exec().on_cuda() && !options.train.sync_batch_norm;
  return rewrite(tuned(std::move(graph), options.optimizer.tuning), options.train.recompute,
                 options.run.precision, sums);
}

/// Throws Error(usage) unless a graph for samples of `length` has these parameters.
void require_same_parameters(const ParameterLayout& whole, const ParameterLayout& shorter, int64_t length,
                             const Shape& samples) {
  constexpr const char* kRemedy =
      "data.buckets needs a model whose parameters do not depend on the length of its samples";
  for (size_t i = 0; i < std::min(whole.parameters.size(), shorter.parameters.size()); ++i) {
    const ParameterLayout::Slot &of_whole = whole.parameters[i], &of_shorter = shorter.parameters[i];
    if (of_whole.name == of_shorter.name && of_whole.shape == of_shorter.shape) continue;
    fail(ExitCode::usage,
         "data.buckets: {} is {} for samples of {} positions, but {} for those of {}. {}, such as "
         "a positional_embedding with `positions` or a transformer with model.context = {}.",
         of_shorter.name, to_string(of_shorter.shape), length, to_string(of_whole.shape), samples[0], kRemedy,
         samples[0]);
  }
  if (whole.ready_ends != shorter.ready_ends || whole.node_of_ready_end != shorter.node_of_ready_end ||
      whole.states_size != shorter.states_size)
    fail(ExitCode::usage, "data.buckets: the model has other layers for samples of {} positions. {}.", length,
         kRemedy);
}

std::vector<ShorterModel> make_shorter_models(const TrainOptions& options, const ModelSetup& setup,
                                              const ModelFactory& model) {
  const DataSignature& data = setup.task.data();
  if (!options.data.buckets.empty() && !options.data.augment.empty())
    fail(ExitCode::usage, "data.buckets cannot be combined with data.augment. Remove one of them.");
  std::vector<ShorterModel> models;
  for (const int64_t length : options.data.buckets) {
    // What is wrong with the data is said when its order is determined (length_order()).
    if (data.x_shape.rank() != 1 || length >= data.x_shape[0]) break;
    Task task(setup.exec, options, with_length(data, length));
    Graph graph = make_graph(options, task, model);
    task.fit_normalization(graph.shape(0));
    graph = trained_graph(graph, task.objective());
    require_same_parameters(setup.parameters.layout(), ParameterLayout(graph), length, data.x_shape);
    models.push_back({length, std::move(task), std::move(graph)});
  }
  return models;
}

}  // namespace

ModelSetup::ModelSetup(World& world, Exec e, const TrainOptions& options, const DataSignature& data,
                       const ModelFactory& model)
    : exec(e),
      task(exec, options, data),
      metrics(chosen_metrics(options, task.objective())),
      graph(make_graph(options, task, model)),
      pool(lanes_of(options, exec, world)),
      parameters(exec, graph),
      evaluation_batch(lockstep::evaluation_batch(options)),
      capture(options.run.capture) {
  task.fit_normalization(graph.shape(0));
}

Evaluator ModelSetup::make_evaluator(const std::vector<Metric>& reported) {
  return Evaluator(exec, pool, task, graph, parameters, evaluation_batch, reported, capture);
}

TrainingSetup::TrainingSetup(World& world, Exec e, const TrainOptions& options, const DataSignature& data,
                             const ModelFactory& model, std::unique_ptr<Communicator> given,
                             const std::string& engines)
    : ModelSetup(world, e, options, data, model),
      trained(trained_graph(graph, task.objective())),
      shorter(make_shorter_models(options, *this, model)),
      needs(micro_batch_needs(exec, trained)),
      batching(plan_batches(options, world.size(), pool.lanes(), needs)),
      communicator(given ? std::move(given) : make_communicator(world, exec, options.communicator())),
      statistics(options.train.sync_batch_norm ? timed(make_statistics_communicator(world, exec)) : nullptr),
      step_options(lockstep::step_options(options, world, exec, communicator, parameters.layout())),
      sharding(make_sharding(world, exec, options, communicator, parameters.layout(), step_options)),
      optimizer(exec, options.optimizer, parameters.layout().blocks,
                sharding ? std::optional(sharding->optimizer_share()) : std::nullopt),
      optimizer_bytes(world.gather(optimizer.bytes() + (sharding ? sharding->bytes() : 0))),
      replicas(make_replica_check(world, options, *this)),
      tuner(make_engine_tuner(world, exec, options, engines)),
      step({exec, pool, communicator, task, trained, parameters, optimizer, replica_check(),
            communicator_for_statistics(options, *this), sharding ? &*sharding : nullptr, shorter},
           batching, step_options) {
  // Evaluation plans when it begins, and a rank may search for non-finite values alone.
  if (tuner) tuner->stop();
  parameters.initialize(options.run.seed);
}

std::optional<SharedState> TrainingSetup::shared_state() {
  if (!sharding) return std::nullopt;
  return SharedState{*sharding, parameters, step.gradients()};
}

void TrainingSetup::gather_weights() {
  if (sharding) sharding->gather_weights(parameters);
}

}  // namespace lockstep
