#include "src/train/run/trainer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "src/core/activity.h"
#include "src/core/peak_memory.h"
#include "src/device/devices.h"
#include "src/train/observe/divergence.h"
#include "src/train/run/moments.h"
#include "src/train/run/run_findings.h"
#include "src/train/run/run_header.h"
#include "src/train/run/run_settings.h"
#include "src/train/run/stage_data.h"
#include "src/train/run/start_checks.h"

namespace lockstep {

namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Collective. Describes the training data, and measures what the options need to know of it.
DataSignature describe_data(World& world, const TrainOptions& options, const Dataset& train) {
  DataSignature data = signature_of(train, options.train.class_weights.kind == ClassWeights::Kind::balanced);
  if (options.data.normalize.kind == Normalize::Kind::standardize && data.x_dtype != DType::i32) {
    Moments moments = measure_moments(world, train, options.data.layout == Layout::channels_first);
    data.mean = std::move(moments.mean);
    data.std = std::move(moments.std);
  }
  return data;
}

/// The engines that the run chose for its convolutions; "" if it is new or did not choose.
std::string engines_of(const std::optional<ResumeFrom>& resume) {
  if (!resume) return "";
  const auto& strings = resume->loaded.checkpoint.strings;
  const auto found = strings.find(kEnginesOfCheckpoint);
  return found == strings.end() ? "" : found->second;
}

}  // namespace

Trainer::Trainer(World& world, Exec exec, const TrainOptions& options, const ModelFactory& model,
                 const std::optional<ResumeFrom>& resume, TrainerParts parts)
    : world_(world),
      exec_(exec),
      options_(options),
      data_(world, options, std::move(parts.train)),
      setup_(world, exec, options, describe_data(world, options, *data_.train), model,
             std::move(parts.communicator), engines_of(resume)),
      order_(order_of_run(options.data, *data_.train, setup_.batching.global_batch,
                          resume ? &resume->loaded : nullptr)),
      sampler_(options.run.seed, data_.train->size(), setup_.batching.global_batch, order_),
      total_steps_(count_steps(options, sampler_.steps_per_epoch())),
      schedule_(options.schedule, options.optimizer.lr, total_steps_),
      watch_(options.train.early_stop),
      checkpoints_({world, exec, options_, setup_.parameters, setup_.optimizer, setup_.shared_state(),
                    setup_.replica_check(), sampler_.steps_per_epoch(), order_, *data_.train,
                    data_.validation.get(), to_json(setup_.task.data()),
                    setup_.tuner ? setup_.tuner->text() : ""}),
      clock_(exec, setup_.pool.lanes(), setup_.step, setup_.communicator, setup_.statistics.get()) {
  check_options(options_, data_, setup_);
  if (world.rank() == 0 && !data_.train->in_memory())
    pace_.emplace(setup_.batching.global_batch, loader_threads(*data_.train, exec_));
  if (data_.kept && !data_.train->in_memory()) log_share_read(world, order_, setup_.batching.rank_batch());
  if (resume)
    restore(*resume);
  else if (parts.initial)
    initial_ = initialize_from(parts.initial(setup_.task.input(), setup_.task.objective().network_output()),
                               exec_, setup_.parameters);
  check_same_start(world_, setup_, state_.position);
}

void Trainer::restore(const ResumeFrom& from) {
  state_ = checkpoints_.restore(from);
  // The run may have skipped non-finite steps before, and no longer does.
  state_.skipped.in_a_row = std::clamp<int64_t>(state_.skipped.in_a_row, 0, options_.max_bad_steps() - 1);
  // The run may have been in another precision before.
  if (!setup_.step_options.scales_loss)
    state_.loss_scale = {};
  else if (state_.loss_scale.factor == 0)
    state_.loss_scale.factor = LossScale::kInitial;
  setup_.step.resume(static_cast<int32_t>(state_.skipped.in_a_row), state_.loss_scale);
  watch_.restore(state_);
}

EndEvent Trainer::run(const TrainObserver& observer, const StopConditions& conditions) {
  Loader loader = make_loader();
  start(observer, conditions);
  if (epoch_is_full() && !preempted_) save({.best = end_epoch(loader)});
  // A run that has stopped early stays over when it is resumed.
  while (!watch_.stops() && !preempted_ && state_.position < total_steps_) {
    clock_.begin_step();
    checkpoints_.check();
    const Batch& batch = next_batch(loader);
    clock_.has_batch(state_.position);
    report(setup_.step.run(batch, state_.position + 1, schedule_.lr(state_.position), requests(),
                           clock_.times_step()));
    clock_.end_step();
    note_durations();
    compare_pace(loader);
    ++state_.position;

    const bool save_due = checkpoints_.due(state_.position) || asked_.save || asked_.stop;
    if (must_flush(save_due)) report(setup_.step.flush());
    preempted_ = asked_.stop;
    const bool is_best = epoch_is_full() && !preempted_ && end_epoch(loader);
    save({.newest = save_due && !preempted_, .best = is_best});
  }
  return finish(loader);
}

Loader Trainer::make_loader() const {
  const int64_t steps_per_epoch = sampler_.steps_per_epoch(), rows = setup_.batching.rank_batch();
  return Loader(exec_, *data_.train, sampler_,
                {.first_slot = world_.rank() * rows,
                 .rows = rows,
                 .first_epoch = epoch_of(state_.position),
                 .first_step = state_.position % steps_per_epoch,
                 .last_epoch = (total_steps_ + steps_per_epoch - 1) / steps_per_epoch,
                 .threads = loader_threads(*data_.train, exec_),
                 .gpu_direct = options_.data.gpu_direct});
}

void Trainer::start(const TrainObserver& observer, const StopConditions& conditions) {
  observer_ = observer;
  stop_request_ = StopRequest(conditions, checkpoints_.expected_seconds());
  epoch_started_ = Clock::now();
  checkpoints_.start();
  clock_.start();
  restart_buffer_peak();
  preempted_ = world_.any(!stop_request_.reason().empty());
}

const Batch& Trainer::next_batch(Loader& loader) const {
  activity().enter(Phase::read);
  const Batch* batch = loader.next();
  INVARIANT(batch != nullptr, "the loader ended at step {} of {}", state_.position, total_steps_);
  return *batch;
}

/// This rank's requests for the next step.
Requests Trainer::requests() const {
  return {.stop = !stop_request_.reason().empty(), .save = checkpoints_.minutes_passed()};
}

/// Reports the metrics of a step, which may be the one before the newest.
void Trainer::report(const std::optional<StepMetrics>& metrics) {
  if (!metrics) return;
  activity().enter(Phase::report);
  state_.count(*metrics);
  asked_.stop |= metrics->requests.stop;
  asked_.save |= metrics->requests.save;
  const int64_t at = metrics->step - 1, in_a_row = state_.skipped.in_a_row;
  if (metrics->ranks_agreed == false) setup_.replicas->fail_naming_rank(world_, at);
  if (metrics->ranks_agreed == true) setup_.replicas->agreed_after(at);
  if (observer_.on_step)
    observer_.on_step({.step = metrics->step,
                       .total_steps = total_steps_,
                       .epoch = epoch_of(at) + 1,
                       .step_in_epoch = at % sampler_.steps_per_epoch() + 1,
                       .steps_per_epoch = sampler_.steps_per_epoch(),
                       .loss = metrics->loss,
                       .lr = schedule_.lr(at),
                       .samples_per_s = static_cast<double>(metrics->samples) / clock_.step_seconds(),
                       .gradient_norm = metrics->gradient_norm,
                       .skipped_in_a_row = options_.train.on_nan == OnNan::skip ? in_a_row : 0,
                       .overflowed = metrics->overflowed,
                       .loss_scale = metrics->loss_scale.factor,
                       .output_losses = named(metrics->output_losses)});
  if (in_a_row >= options_.max_bad_steps()) fail_diverged(*metrics);
}

std::vector<OutputLoss> Trainer::named(const std::vector<double>& output_losses) const {
  std::vector<OutputLoss> losses;
  const std::vector<Graph::Output> outputs = setup_.graph.outputs();
  for (size_t k = 0; k < std::min(outputs.size(), output_losses.size()); ++k)
    losses.push_back({outputs[k].name, output_losses[k]});
  return losses;
}

void Trainer::fail_diverged(const StepMetrics& metrics) {
  setup_.gather_weights();
  if (observer_.on_end) observer_.on_end(end_event("diverged", std::nullopt));
  const int64_t at = metrics.step - 1, steps = sampler_.steps_per_epoch();
  const ShorterModel* const shorter = model_for(sampler_.length(epoch_of(at), at % steps), setup_.shorter);
  lockstep::fail_diverged({world_, exec_, shorter == nullptr ? setup_.task : shorter->task,
                           shorter == nullptr ? setup_.graph : shorter->graph, setup_.parameters,
                           setup_.batching, sampler_, *data_.train},
                          {.metrics = metrics,
                           .lr = schedule_.lr(metrics.step - 1),
                           .in_a_row = state_.skipped.in_a_row,
                           .skips_steps = options_.train.on_nan == OnNan::skip,
                           .run_dir = options_.run.dir});
}

void Trainer::note_durations() {
  stop_request_.step_took(clock_.step_seconds());
  if (checkpoints_.longest_seconds() > 0) stop_request_.checkpoint_took(checkpoints_.longest_seconds());
}

/// Reports once whether the data can be read as fast as the model takes it.
void Trainer::compare_pace(const Loader& loader) {
  if (!pace_) return;
  const std::optional<DataPace> pace = pace_->after_step(clock_.step_seconds(), loader.seconds());
  if (!pace || !observer_.on_pace) return;
  observer_.on_pace({.step = state_.position + 1,
                     .pace = *pace,
                     .text = pace_in_words(*pace, loader_threads(*data_.train, exec_),
                                           read_amplification(order_, *data_.train))});
}

/// Whether the newest step's metrics are needed now.
bool Trainer::must_flush(bool save_due) const {
  const bool ends_epoch = state_.position % sampler_.steps_per_epoch() == 0;
  return ends_epoch || save_due || state_.position == total_steps_;
}

/// Whether the run is at the end of an epoch that has not been evaluated.
bool Trainer::epoch_is_full() const {
  return state_.epoch_samples > 0 && state_.position % sampler_.steps_per_epoch() == 0;
}

/// Validates; returns whether the epoch is the best so far. If the run is preempted meanwhile, the state does
/// not change.
bool Trainer::end_epoch(const Loader& loader) {
  EpochEvent event{.epoch = epoch_of(state_.position - 1) + 1,
                   .step = state_.position,
                   .train_loss = state_.epoch_loss(),
                   .output_losses = named(state_.output_losses()),
                   .skipped_steps = state_.skipped.count};
  if (data_.validation) event.validation = evaluate(*data_.validation);
  if (preempted_) return false;
  StepComparison steps = clock_.compare_newest(world_, loader.seconds(), options_.data.train.files);
  event.steps = steps.steps;
  event.straggler = std::move(steps.straggler);
  event.seconds = seconds_since(epoch_started_);
  if (observer_.on_epoch) observer_.on_epoch(event);
  state_.start_epoch();
  epoch_started_ = Clock::now();
  return event.validation && watch_.update(event.epoch, *event.validation);
}

/// Returns nothing and sets `preempted_` if the run is preempted meanwhile; the resumed run then evaluates.
std::optional<Evaluation> Trainer::evaluate(const Dataset& dataset) {
  if (!evaluator_) evaluator_.emplace(setup_.make_evaluator());
  const std::optional<Evaluation> result =
      evaluator_->evaluate(world_, dataset, [&] { return !stop_request_.reason().empty(); });
  if (!result) preempted_ = true;
  return result;
}

/// The state of the run for a checkpoint.
RunState Trainer::state() const {
  RunState state = state_;
  watch_.save(state);
  return state;
}

void Trainer::save(const Checkpointing::Files& files) {
  if (!files.newest && !files.best) return;
  const Clock::time_point begun = Clock::now();
  or_say_diverged([&] { checkpoints_.save(state(), files); });
  save_seconds_ += seconds_since(begun);
  ++saves_;
  if (files.newest) asked_.save = false;
}

/// Saving detects non-finite weights.
template <typename Save>
void Trainer::or_say_diverged(const Save& save) {
  try {
    save();
  } catch (const Error& error) {
    if (error.code() == ExitCode::diverged && observer_.on_end)
      observer_.on_end(end_event("diverged", std::nullopt));
    throw;
  }
}

EndEvent Trainer::finish(const Loader& loader) {
  or_say_diverged([&] { checkpoints_.finish(state()); });
  const std::optional<Evaluation> test = data_.test && !preempted_ ? evaluate(*data_.test) : std::nullopt;
  EndEvent event = end_event(preempted_ ? "preempted" : watch_.stops() ? "early_stop" : "finished", test);
  StepComparison steps = clock_.compare_all(world_, loader.seconds(), options_.data.train.files);
  event.steps = steps.steps;
  event.straggler = std::move(steps.straggler);
  if (observer_.on_end) observer_.on_end(event);
  if (data_.kept) log_kept_reads(world_, *data_.kept, options_.data.stage);
  // The first rank that ends with a nonzero code ends the job.
  if (preempted_) world_.barrier();
  return event;
}

EndEvent Trainer::end_event(const std::string& reason, const std::optional<Evaluation>& test) const {
  const std::string mine = stop_request_.reason();
  const std::string cause = mine.empty() ? "requested by another rank" : mine;
  return {.reason = reason,
          .cause = preempted_ ? cause : "",
          .step = state_.position,
          .test = test,
          .weights_hash = setup_.parameters.weights_hash(),
          .skipped_steps = state_.skipped.count,
          .seconds = seconds_since(started_),
          .peak_host_bytes = peak_host_bytes(),
          .peak_device_bytes = used_device_bytes(exec_),
          .memory = memory_use(),
          .saves = saves_,
          .save_seconds = save_seconds_};
}

MemoryUse Trainer::memory_use() const {
  const BufferBytes peak = peak_buffer_bytes();
  const TrainingMemory planned =
      planned_memory(options_, setup_, data_, evaluator_ ? &*evaluator_ : nullptr, world_);
  return {planned,
          planned.on(exec_.on_cuda()),
          {peak.host - bytes_before_.host, peak.device - bytes_before_.device}};
}

/// Facts about the training data; determined once.
const std::optional<SourceFacts>& Trainer::facts() const {
  if (!facts_) facts_ = data_.train->facts();
  return *facts_;
}

std::string Trainer::describe() const {
  return describe_run(
      {.options = options_,
       .order = order_,
       .data = data_,
       .facts = facts(),
       .setup = setup_,
       .initial = initial_,
       .ranks = world_.size(),
       .snapshot_bytes = checkpoints_.snapshot_bytes(),
       .buffers = planned_memory(options_, setup_, data_, nullptr, world_).on(exec_.on_cuda()),
       .total_steps = total_steps_,
       .steps_per_epoch = sampler_.steps_per_epoch()});
}

std::vector<Finding> Trainer::findings() const {
  std::vector<Finding> found = run_findings(options_, facts(), data_.train->size(), setup_.batching);
  if (const std::string constant = setup_.task.constant_channels(); !constant.empty())
    found.push_back({constant, "data.normalize"});
  return found;
}

}  // namespace lockstep
