#include "src/train/run/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "comm/collectives/timed_communicator.h"
#include "io/file/atomic_file.h"
#include "src/core/activity.h"
#include "src/core/counted.h"
#include "src/core/peak_memory.h"
#include "src/device/devices.h"
#include "src/graph/rewrites/rewrites.h"
#include "src/ops/fingerprint.h"
#include "src/train/observe/diagnosis.h"
#include "src/train/run/run_findings.h"
#include "src/train/run/run_settings.h"
#include "src/train/run/train_data.h"
#include "src/train/step/step.h"

namespace lockstep {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Steps of the whole run.
int64_t count_steps(const TrainOptions& options, int64_t steps_per_epoch) {
  if (options.steps > 0) return options.steps;
  // So that no count of what is done in these steps overflows either.
  constexpr int64_t kMostSteps = int64_t{1} << 53;
  if (options.epochs > kMostSteps / steps_per_epoch)
    fail(ExitCode::usage, "train.epochs = {} of {} each are too many steps to count: at most {} epochs.",
         options.epochs, counted(steps_per_epoch, "step"), kMostSteps / steps_per_epoch);
  return options.epochs * steps_per_epoch;
}

/// NaN has a sign, which means nothing.
double readable(double number) { return std::isnan(number) ? std::fabs(number) : number; }

// On a GPU the host waits for one of so many steps, to ask where its time went. Not for the first two, which
// set up libraries and capture.
constexpr int64_t kSplitEvery = 16, kSplitFirst = 2;

/// The metric that tells which epoch is the best: however small the improvement.
EarlyStopSpec best_of(const TrainOptions& options) {
  EarlyStopSpec spec = options.early_stop.value_or(EarlyStopSpec{});
  spec.min_delta = 0;
  return spec;
}

std::unique_ptr<TimedCommunicator> timed(std::unique_ptr<Communicator> communicator) {
  return communicator ? std::make_unique<TimedCommunicator>(std::move(communicator)) : nullptr;
}

}  // namespace

struct Trainer::Impl {
  World& world;
  Exec exec;
  TrainOptions options;
  Clock::time_point started = Clock::now();

  TrainData data;
  Task task;
  Graph graph;
  ThreadPool pool;
  MicroBatchNeeds needs;
  Batching batching;
  Parameters parameters;
  TimedCommunicator communicator;
  std::unique_ptr<TimedCommunicator> statistics;  // of batch norm, where they need another
  Step::Options step_settings;
  std::optional<Sharding> sharding;
  Optimizer optimizer;
  std::vector<uint64_t> optimizer_bytes;  // of each rank
  std::optional<ReplicaCheck> replicas;   // none: one rank, or switched off
  Sampler sampler;
  int64_t total_steps;
  Schedule schedule;
  EarlyStop early_stop;  // decides when the run may stop
  EarlyStop best;        // of what best.h5 has seen: less, when a run goes on without that file
  Step step;
  Checkpointing checkpoints;
  std::optional<Evaluator> evaluator;

  // Where the run stands. The next batch is number `position` of the run.
  int64_t position = 0;
  double epoch_loss_sum = 0;  // over the samples of the epoch so far that were not skipped
  int64_t epoch_samples = 0;
  SkippedSteps skipped;
  Clock::time_point epoch_started;
  bool best_epoch_ended = false;  // with the newest step
  int64_t saves = 0;
  double save_seconds = 0;  // in which steps stood still for them
  double step_seconds = 0;  // of the newest step whose metrics are not reported yet
  StepSplitRecorder split;
  bool split_step = false;  // the newest step is one whose parts are still to be asked for
  StopRequest stop_request{{}, 0};
  Requests asked;                                         // by any rank, as far as this one knows
  bool preempted = false;                                 // the same on all ranks
  std::optional<std::optional<SourceFacts>> train_facts;  // not looked up yet, or there are none

  Impl(World& w, Exec e, const TrainOptions& o, const ModelFactory& model, TrainerParts parts)
      : world(w),
        exec(e),
        options(o),
        data(w, o, std::move(parts.train)),
        task(e, o, signature_of(*data.train)),
        graph(rewrite(model(task.input_shape(), task.outputs()))),
        pool(lanes_of(o, e, w)),
        needs(micro_batch_needs(e, graph)),
        batching(plan_batches(o, w.size(), pool.lanes(), needs)),
        parameters(e, graph),
        communicator(parts.communicator ? std::move(parts.communicator)
                                        : make_communicator(w, e, o.communicator())),
        statistics(o.sync_batch_norm ? timed(make_statistics_communicator(w, e)) : nullptr),
        step_settings(step_options(o, w, e, communicator, parameters.layout())),
        sharding(make_sharding(w, e, o, communicator, parameters.layout(), step_settings)),
        optimizer(e, o.optimizer, parameters.layout().blocks,
                  sharding ? std::optional(sharding->optimizer_share()) : std::nullopt),
        optimizer_bytes(w.gather(optimizer.bytes())),
        replicas(make_replica_check()),
        sampler(o.seed, data.train->size(), batching.global_batch, /*shuffle=*/true),
        total_steps(count_steps(o, sampler.steps_per_epoch())),
        schedule(o.schedule, o.optimizer.lr, total_steps),
        early_stop(o.early_stop.value_or(EarlyStopSpec{.patience = std::numeric_limits<int64_t>::max()})),
        best(best_of(o)),
        step({e, pool, communicator, task, graph, parameters, optimizer, replicas ? &*replicas : nullptr,
              !o.sync_batch_norm ? nullptr
              : statistics       ? statistics.get()
                                 : &communicator,
              sharding ? &*sharding : nullptr},
             batching, step_settings),
        checkpoints({w, e, options, parameters, optimizer, shared_state(), replicas ? &*replicas : nullptr,
                     sampler.steps_per_epoch(), *data.train, data.validation.get(), to_json(task.data())}) {
    if (data.validation) task.check_compatible(*data.validation, "data.validation");
    if (data.test) task.check_compatible(*data.test, "data.test");
    if (o.early_stop && !data.validation)
      fail(ExitCode::usage,
           "train.early_stop watches {}, but there is no validation data. Set data.validation or "
           "data.validation_split.",
           o.early_stop->metric);
    if (o.early_stop && o.early_stop->metric == "validation_accuracy" && !task.classifies())
      fail(ExitCode::usage,
           "train.early_stop.metric = 'validation_accuracy' needs classes, and the targets are values.");
    if (parameters.layout().parameter_count == 0)
      fail(ExitCode::usage, "the model has no parameters: there is nothing to train.");
    parameters.initialize(o.seed);
  }

  std::optional<ReplicaCheck> make_replica_check() const {
    if (options.fingerprint_steps == 0 || world.size() == 1) return std::nullopt;
    if (world.size() > kMostFingerprintRanks)
      fail(ExitCode::usage, "comm.fingerprint_steps works for up to {} ranks, and there are {}. Set it to 0.",
           kMostFingerprintRanks, world.size());
    // Each rank has a state of its own where they share it out.
    return ReplicaCheck(exec,
                        model_sections(parameters, options.optimizer.name, sharding ? nullptr : &optimizer),
                        options.fingerprint_steps);
  }

  void check_same_start() {
    if (const auto rank = world.find_different(parameters.weights_hash()))
      fail(
          ExitCode::lost,
          "rank {} does not start from the same weights as rank 0: do all machines run the same Lockstep and "
          "read the same checkpoint?",
          *rank);
    if (replicas) replicas->agreed_after(position);
  }

  /// None, and `preempted`, when the run is to stop meanwhile: the next process evaluates.
  std::optional<Evaluation> evaluate(const Dataset& dataset) {
    if (!evaluator) evaluator.emplace(exec, pool, task, graph, parameters, evaluation_batch(options));
    const std::optional<Evaluation> result =
        evaluator->evaluate(world, dataset, [&] { return !stop_request.reason().empty(); });
    if (!result) preempted = true;
    return result;
  }

  /// Of the training data; looked up once.
  const std::optional<SourceFacts>& facts() {
    if (!train_facts) train_facts = data.train->facts();
    return *train_facts;
  }

  /// What this rank asks for in the next step.
  Requests requests() const {
    return {.stop = !stop_request.reason().empty(), .save = checkpoints.minutes_passed()};
  }

  int64_t epoch_of(int64_t at) const { return at / sampler.steps_per_epoch(); }

  void report(const std::optional<StepMetrics>& metrics, const TrainObserver& observer) {
    if (!metrics) return;
    activity().enter(Phase::report);
    count(*metrics);
    asked.stop |= metrics->requests.stop;
    asked.save |= metrics->requests.save;
    const int64_t at = metrics->step - 1;
    if (metrics->ranks_agreed == false) replicas->fail_naming_rank(world, at);
    if (metrics->ranks_agreed == true) replicas->agreed_after(at);
    if (observer.on_step)
      observer.on_step({.step = metrics->step,
                        .total_steps = total_steps,
                        .epoch = epoch_of(at) + 1,
                        .step_in_epoch = at % sampler.steps_per_epoch() + 1,
                        .steps_per_epoch = sampler.steps_per_epoch(),
                        .loss = metrics->loss,
                        .lr = schedule.lr(at),
                        .samples_per_s = static_cast<double>(metrics->samples) / step_seconds,
                        .gradient_norm = metrics->gradient_norm,
                        .skipped_in_a_row = options.skip_bad_steps ? skipped.in_a_row : 0});
    if (skipped.in_a_row >= options.most_bad_steps()) fail_diverged(*metrics, observer);
  }

  /// In the epoch's loss, or among the steps that are not.
  void count(const StepMetrics& metrics) {
    epoch_samples += metrics.samples;
    if (metrics.is_finite) {
      epoch_loss_sum += metrics.loss * static_cast<double>(metrics.samples);
      skipped.in_a_row = 0;
    } else {
      ++skipped.count;
      ++skipped.in_a_row;
      skipped.epoch_samples += metrics.samples;
    }
  }

  /// Collective. The weights are still those with which the step was computed: see StepGuard.
  [[noreturn]] void fail_diverged(const StepMetrics& metrics, const TrainObserver& observer) {
    if (observer.on_end) observer.on_end(end_event("diverged", std::nullopt));
    const double lr = schedule.lr(metrics.step - 1);
    const Diagnosis diagnosis =
        diagnose({world, exec, task, graph, parameters, batching, sampler, *data.train}, metrics, lr);
    std::string saved;
    if (world.rank() == 0) {
      const std::string path = options.run_dir + "/diagnosis.json";
      try {
        write_text_atomically(path, diagnosis.to_json());
        saved = fmt::format(" See {}.", path);
      } catch (const Error& error) {
        saved = fmt::format(" ({})", error.what());
      }
    }
    // The first rank that ends with an error ends the job.
    world.barrier();
    const std::string in_a_row =
        options.skip_bad_steps ? fmt::format(", the {}th such step in a row", skipped.in_a_row) : "";
    fail(ExitCode::diverged,
         "the loss is {} and the norm of the gradients {} at step {} (epoch {}){}: the training diverged. {} "
         "Lower optimizer.lr (it was {}), set train.clip_norm, or look at the data with `lockstep data "
         "check`.{}",
         readable(metrics.loss), readable(metrics.gradient_norm), metrics.step,
         epoch_of(metrics.step - 1) + 1, in_a_row, diagnosis.hints(), lr, saved);
  }

  std::string cause() const {
    const std::string mine = stop_request.reason();
    return mine.empty() ? "asked for by another rank" : mine;
  }

  EndEvent end_event(const std::string& reason, std::optional<Evaluation> test) const {
    return {.reason = reason,
            .cause = preempted ? cause() : "",
            .step = position,
            .test = test,
            .classifies = task.classifies(),
            .weights_hash = parameters.weights_hash(),
            .skipped_steps = skipped.count,
            .seconds = seconds_since(started),
            .peak_host_bytes = peak_host_bytes(),
            .peak_device_bytes = used_device_bytes(exec),
            .saves = saves,
            .save_seconds = save_seconds};
  }

  std::optional<SharedState> shared_state() const {
    if (!sharding) return std::nullopt;
    return SharedState{*sharding, step.gradients()};
  }

  /// Seconds in which this rank stood still in sums since the last call.
  double take_seconds_in_sums() {
    // All lanes wait for statistics.
    return communicator.take_seconds(pool.lanes()) + (statistics ? statistics->take_seconds(1) : 0);
  }

  /// Without its wait for samples the newest step has taken so long.
  void split_on_host(double seconds) {
    const double in_sums = take_seconds_in_sums(), copy = step.seconds().copy;
    split.add_parts(copy, seconds - copy - in_sums, in_sums);
  }

  /// Waits for the newest step: the next one would overwrite its timestamps.
  void split_on_device() {
    const Step::Seconds seconds = step.seconds();
    const double in_sums = communicator.device_seconds().exposed;
    split.add_parts(seconds.copy, seconds.total - seconds.copy - in_sums, in_sums);
  }

  /// Collective.
  std::optional<std::string> straggler_in(const StepReport& report) {
    return straggler_line(report, world.host_of(report.slowest_rank), options.train.files);
  }

  /// Validation and early stopping at the end of an epoch; true when the run should stop early. When it is
  /// preempted meanwhile, nothing has happened.
  bool end_epoch(const Loader& loader, const TrainObserver& observer) {
    EpochEvent event{
        .epoch = epoch_of(position - 1) + 1,
        .step = position,
        .train_loss = epoch_loss_sum / static_cast<double>(epoch_samples - skipped.epoch_samples),
        .classifies = task.classifies(),
        .skipped_steps = skipped.count};
    if (data.validation) event.validation = evaluate(*data.validation);
    if (preempted) return false;
    if (split.steps_since_gather() > 0) {
      event.steps = split.gather(world, loader.seconds());
      event.straggler = straggler_in(*event.steps);
    }
    event.seconds = seconds_since(epoch_started);
    if (observer.on_epoch) observer.on_epoch(event);
    epoch_loss_sum = 0;
    epoch_samples = skipped.epoch_samples = 0;
    epoch_started = Clock::now();

    if (!event.validation) return false;
    const bool watch_accuracy = options.early_stop && options.early_stop->metric == "validation_accuracy";
    const double watched = watch_accuracy ? event.validation->accuracy : event.validation->loss;
    best.update(event.epoch, watched);
    best_epoch_ended = best.improved();
    return early_stop.update(event.epoch, watched);
  }

  /// Where the run stands, for a checkpoint.
  RunState state() const {
    return {position, epoch_loss_sum, epoch_samples, skipped, early_stop.state(), best.state()};
  }

  void restore(const ResumeFrom& from) {
    const RunState saved = checkpoints.restore(from);
    position = saved.position;
    epoch_loss_sum = saved.epoch_loss_sum;
    epoch_samples = saved.epoch_samples;
    skipped = saved.skipped;
    // Of a run that skipped such steps and now does not.
    skipped.in_a_row = std::clamp<int64_t>(skipped.in_a_row, 0, options.most_bad_steps() - 1);
    step.set_bad_in_a_row(static_cast<int32_t>(skipped.in_a_row));
    early_stop.restore(saved.watched);
    best.restore(saved.best);
  }

  /// Whether the run stands at the end of an epoch that has not been evaluated.
  bool epoch_is_full() const { return epoch_samples > 0 && position % sampler.steps_per_epoch() == 0; }

  /// Weights that are not finite are found where they are saved.
  template <typename Save>
  void or_say_diverged(const TrainObserver& observer, const Save& save) {
    try {
      save();
    } catch (const Error& error) {
      if (error.code() == ExitCode::diverged && observer.on_end)
        observer.on_end(end_event("diverged", std::nullopt));
      throw;
    }
  }

  void save(const Checkpointing::Files& files, const TrainObserver& observer) {
    if (!files.newest && !files.best) return;
    const Clock::time_point begun = Clock::now();
    or_say_diverged(observer, [&] { checkpoints.save(state(), files); });
    save_seconds += seconds_since(begun);
    ++saves;
    if (files.newest) asked.save = false;
  }

  EndEvent run(const TrainObserver& observer, const StopConditions& conditions) {
    stop_request = StopRequest(conditions, checkpoints.expected_seconds());
    const int64_t steps_per_epoch = sampler.steps_per_epoch();
    Loader loader(exec, *data.train, sampler,
                  {.first_slot = world.rank() * batching.rank_batch(),
                   .rows = batching.rank_batch(),
                   .first_epoch = epoch_of(position),
                   .first_step = position % steps_per_epoch,
                   .last_epoch = (total_steps + steps_per_epoch - 1) / steps_per_epoch,
                   .threads = loader_threads(*data.train, exec)});
    // A run that was stopped early is over, however often it is resumed.
    bool stop = early_stop.stops();
    epoch_started = Clock::now();
    checkpoints.start();
    take_seconds_in_sums();  // of what was summed before the first step
    preempted = world.any(!stop_request.reason().empty());
    if (epoch_is_full() && !preempted) {
      stop = end_epoch(loader, observer);
      save({.best = best_epoch_ended}, observer);
    }
    while (!stop && !preempted && position < total_steps) {
      const Clock::time_point step_started = Clock::now();
      checkpoints.check();
      activity().enter(Phase::read);
      const Batch* batch = loader.next();
      INVARIANT(batch != nullptr, "the loader ended at step {} of {}", position, total_steps);
      const Clock::time_point has_batch = Clock::now();
      if (split_step) split_on_device();
      communicator.begin_step();
      report(step.run(*batch, position + 1, schedule.lr(position), requests()), observer);
      communicator.end_step();
      step_seconds = seconds_since(step_started);
      stop_request.step_took(step_seconds);
      if (checkpoints.longest_seconds() > 0) stop_request.checkpoint_took(checkpoints.longest_seconds());
      split.add(step_seconds);
      split_step = exec.on_cuda() && position % kSplitEvery == kSplitFirst;
      if (!exec.on_cuda()) split_on_host(seconds_since(has_batch));
      ++position;
      const bool save_due = checkpoints.due(position) || asked.save || asked.stop;
      if (position % steps_per_epoch == 0 || save_due || position == total_steps)
        report(step.flush(), observer);
      preempted = asked.stop;
      best_epoch_ended = false;
      if (epoch_is_full() && !preempted) stop = end_epoch(loader, observer);
      save({.newest = save_due && !preempted, .best = best_epoch_ended}, observer);
    }
    or_say_diverged(observer, [&] { checkpoints.finish(state()); });
    const std::optional<Evaluation> test = data.test && !preempted ? evaluate(*data.test) : std::nullopt;
    EndEvent event = end_event(preempted ? "preempted" : stop ? "early_stop" : "finished", test);
    // A run of one epoch has said it already.
    const bool one_epoch = split.steps_since_gather() == 0 && split.gathers() == 1;
    if (split.steps_since_gather() > 0) split.gather(world, loader.seconds());
    if (split.gathers() > 0) event.steps = split.whole_run();
    if (event.steps && !one_epoch) event.straggler = straggler_in(*event.steps);
    if (observer.on_end) observer.on_end(event);
    // The first rank that ends with another code than 0 ends the job.
    if (preempted) world.barrier();
    return event;
  }
};

Trainer::Trainer(World& world, Exec exec, const TrainOptions& options, const ModelFactory& model,
                 const std::optional<ResumeFrom>& resume, TrainerParts parts)
    : impl_(std::make_unique<Impl>(world, exec, options, model, std::move(parts))) {
  if (resume) impl_->restore(*resume);
  impl_->check_same_start();
}

Trainer::~Trainer() = default;

EndEvent Trainer::run(const TrainObserver& observer, const StopConditions& stop) {
  return impl_->run(observer, stop);
}

int64_t Trainer::position() const { return impl_->position; }

std::string Trainer::describe() const {
  const Impl& t = *impl_;
  const double mib = 0x1p20;
  std::string text = fmt::format("data: {}", t.data.train->describe());
  if (t.data.validation) text += fmt::format("\nvalidation: {}", t.data.validation->describe());
  if (t.data.test) text += fmt::format("\ntest: {}", t.data.test->describe());
  text += fmt::format("\n{}", describe_task(t.options, t.task, impl_->facts()));
  const auto [least, most] = std::ranges::minmax(t.optimizer_bytes);
  text += fmt::format(
      "\nmodel: {} parameters; activations {:.1f} MiB, gradients {:.1f} MiB, optimizer {:.1f} MiB a rank",
      t.parameters.layout().parameter_count, static_cast<double>(t.step.activation_bytes()) / mib,
      static_cast<double>(t.step.gradient_bytes()) / mib, static_cast<double>(most) / mib);
  if (t.sharding)
    text += fmt::format(" (sharded over {} ranks, {:.1f} MiB at least)", t.world.size(),
                        static_cast<double>(least) / mib);
  if (t.world.size() > 1) {
    const std::vector<Bucket>& buckets = t.step.buckets();
    const auto longest =
        std::ranges::max(buckets, {}, &Bucket::size).size * static_cast<int64_t>(sizeof(float));
    text += fmt::format("\nsums: {} bucket{} of up to {:.2f} MiB{}", buckets.size(),
                        buckets.size() == 1 ? "" : "s", static_cast<double>(longest) / mib,
                        t.options.gradients == Wire::bf16   ? ", sent as bf16"
                        : t.options.gradients == Wire::fp16 ? ", sent as fp16"
                                                            : "");
  }
  text += fmt::format("\ncheckpoints: written in the background from {:.1f} MiB of rank 0's memory",
                      static_cast<double>(t.checkpoints.snapshot_bytes()) / mib);
  text += fmt::format("\nbatch: {} = {} x {} x {}{}; {} of {} an epoch", t.batching.global_batch,
                      counted(t.world.size(), "rank"),
                      counted(t.batching.micro_batches, "micro-batch", "micro-batches"),
                      t.batching.micro_batch, t.options.reproducible ? ", reproducible" : "",
                      counted(t.total_steps, "step"), t.sampler.steps_per_epoch());
  if (const std::string statistics =
          describe_statistics(t.batching, t.options, t.world.size(), t.pool.lanes(), t.needs);
      !statistics.empty())
    text += "\nbatch norm: " + statistics;
  return text;
}

std::vector<Finding> Trainer::findings() const {
  const Impl& t = *impl_;
  return run_findings(t.options, impl_->facts(), t.data.train->size(), t.batching);
}

void Trainer::set_run_dir(const std::string& folder) { impl_->options.run_dir = folder; }

bool Trainer::classifies() const { return impl_->task.classifies(); }

}  // namespace lockstep
