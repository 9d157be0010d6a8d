#include "src/train/checkpoint/checkpointing.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "io/checkpoint/checkpoint_layout.h"
#include "src/core/activity.h"
#include "src/core/log.h"

namespace lockstep {

namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// The name in a checkpoint of an output's RunState::output_loss_sums.
std::string output_loss_sum(size_t output) { return fmt::format("epoch_loss_sum_of_output_{}", output); }

}  // namespace

/// State of the writing thread, which may outlive the run if a disk hangs.
struct Checkpointing::Writing {
  Snapshot snapshot;
  std::optional<CheckpointLayout> layout;
  std::string diverged;  ///< why nothing was written; "" if it was
  std::atomic<double> longest_seconds = 0;

  struct Job {
    std::string run_dir;
    int64_t position = 0;
    Files files;
    KeepCheckpoints keep;
    Checkpoint values;  ///< without tensors
    Clock::time_point started;
  };

  void write(Job& job) {
    snapshot.finish();
    if (!snapshot.not_finite().empty()) {
      diverged = fmt::format(
          "{} has non-finite values after step {}: the training diverged, and no checkpoint was written. "
          "Lower optimizer.lr, set train.clip_norm, or check the data with `lockstep data check`.",
          snapshot.not_finite(), job.position);
      return;
    }
    snapshot.add_to(job.values);
    job.values.integers["weights_hash"] = static_cast<int64_t>(snapshot.weights_hash());
    // The first save determines the layout of all files.
    if (!layout || !layout->fits(job.values)) layout.emplace(job.values);
    if (job.files.best) layout->write(best_checkpoint_path(job.run_dir), job.values);
    if (job.files.newest) {
      const std::string path = checkpoint_path(job.run_dir, job.position);
      layout->write(path, job.values);
      publish_checkpoint(job.run_dir, path, job.keep);
    }
    longest_seconds = std::max(longest_seconds.load(), seconds_since(job.started));
  }
};

Checkpointing::Checkpointing(Parts parts)
    : parts_(std::move(parts)), data_(parts_.train, parts_.validation, parts_.steps_per_epoch, parts_.order) {
  if (parts_.world.rank() == 0)
    writing_.reset(
        new Writing{.snapshot = Snapshot(parts_.exec, parts_.parameters, parts_.options.optimizer.name,
                                         &parts_.optimizer, parts_.shared.has_value()),
                    .layout = std::nullopt,
                    .diverged = "",
                    .longest_seconds = 0});
}

Checkpointing::~Checkpointing() = default;

void Checkpointing::start() { saved_at_ = Clock::now(); }

bool Checkpointing::due(int64_t position) const {
  const TrainOptions& options = parts_.options;
  const bool epoch_ended = position % parts_.steps_per_epoch == 0;
  const int64_t epochs = options.checkpoint.every_epochs, steps = options.checkpoint.every_steps;
  if (epoch_ended && epochs > 0 && position / parts_.steps_per_epoch % epochs == 0) return true;
  return steps > 0 && position % steps == 0;
}

bool Checkpointing::minutes_passed() const {
  const double minutes = parts_.options.checkpoint.every_minutes;
  return minutes > 0 && seconds_since(saved_at_) > 60 * minutes;
}

double Checkpointing::expected_seconds() const {
  constexpr double kBytesPerSecond = 1e8;  // of a file system shared with other jobs
  const size_t floats = parts_.parameters.weights().size() +
                        parts_.parameters.trained_weights().size() * parts_.optimizer.state().size();
  return static_cast<double>(floats * sizeof(float)) / kBytesPerSecond;
}

void Checkpointing::save(const RunState& state, const Files& files) {
  // A checkpoint of ranks that differ would hide the difference.
  if (parts_.replicas != nullptr) parts_.replicas->check(parts_.world, state.position);
  const PhaseScope saving(Phase::checkpoint);
  const TrainOptions& options = parts_.options;
  const SharedState* shared = parts_.shared ? &*parts_.shared : nullptr;
  // Before wait() throws on rank 0, whose last report needs a hash of the weights.
  if (shared != nullptr) shared->sharding.gather_weights(shared->parameters);
  if (writing_ == nullptr) {
    if (shared != nullptr) send_state(parts_.optimizer, *shared);
  } else {
    wait();
    Writing::Job job{.run_dir = options.run.dir,
                     .position = state.position,
                     .files = files,
                     .keep = {options.checkpoint.keep, options.checkpoint.keep_every_minutes},
                     .values = {},
                     .started = Clock::now()};
    writing_->snapshot.take(shared);
    job.values.integers = {{"position", state.position},
                           {"best_epoch", state.watched.best_epoch},
                           {"bad_epochs", state.watched.bad_epochs},
                           {"seed", static_cast<int64_t>(options.run.seed)},
                           {"epoch_samples", state.epoch_samples},
                           {"skipped_steps", state.skipped.count},
                           {"skipped_in_a_row", state.skipped.in_a_row},
                           {"epoch_skipped_samples", state.skipped.epoch_samples},
                           {"loss_scale_steps", state.loss_scale.good_steps},
                           {"saved_best_epoch", state.best.best_epoch}};
    job.values.reals = {{"epoch_loss_sum", state.epoch_loss_sum},
                        {"loss_scale", state.loss_scale.factor},
                        {"best", state.watched.best},
                        {"saved_best", state.best.best}};
    for (size_t k = 0; k < state.output_loss_sums.size(); ++k)
      job.values.reals[output_loss_sum(k)] = state.output_loss_sums[k];
    job.values.strings = {{"lockstep_version", LOCKSTEP_VERSION},
                          {"config", options.config_text},
                          {"data", parts_.data_description},
                          {"watched", options.watched_metric()}};
    if (!parts_.engines.empty()) job.values.strings[kEnginesOfCheckpoint] = parts_.engines;
    data_.add_to(job.values);
    task_.start([writing = writing_, job = std::move(job)]() mutable { writing->write(job); });
  }
  if (!files.newest) return;
  saved_position_ = state.position;
  saved_at_ = Clock::now();
}

void Checkpointing::check() { task_.check(); }

void Checkpointing::wait() {
  task_.wait();
  // check() does not report this: the loss of the next step explains it better.
  if (writing_ != nullptr && !writing_->diverged.empty()) fail(ExitCode::diverged, "{}", writing_->diverged);
}

void Checkpointing::finish(const RunState& state) {
  // Save the final weights even if no checkpoint is due.
  if (saved_position_ != state.position) save(state, {.newest = true});
  {
    const PhaseScope saving(Phase::checkpoint);
    wait();
  }
  parts_.world.barrier();
}

double Checkpointing::longest_seconds() const {
  return writing_ == nullptr ? 0 : writing_->longest_seconds.load();
}

size_t Checkpointing::snapshot_bytes() const { return writing_ == nullptr ? 0 : writing_->snapshot.bytes(); }

int64_t Checkpointing::start_of_epoch(int64_t position, int64_t steps_per_epoch) const {
  // With train.epochs, the number of completed epochs stays the same; with train.steps, that of completed
  // steps.
  if (parts_.options.train.steps == 0) return position / steps_per_epoch * parts_.steps_per_epoch;
  return position / parts_.steps_per_epoch * parts_.steps_per_epoch;
}

std::string Checkpointing::wrong_with_best(const RunState& state) const {
  const std::string path = best_checkpoint_path(parts_.options.run.dir);
  if (state.best.best_epoch < 0 || parts_.validation == nullptr) return "";
  try {
    const Checkpoint best = load_checkpoint(path);
    const auto epoch = best.integers.find("saved_best_epoch");
    if (epoch != best.integers.end() && epoch->second == state.best.best_epoch) return "";
    return fmt::format("{} is not of epoch {}, the best one so far.", path, state.best.best_epoch);
  } catch (const Error& error) {
    return error.what();
  }
}

RunState Checkpointing::restore(const ResumeFrom& resume) {
  const LoadedCheckpoint& from = resume.loaded;
  // Checkpoints of earlier versions lack these, because those versions skipped no steps and had no fp16.
  const auto counter = [&](const std::string& name) {
    return from.checkpoint.integers.contains(name) ? from.integer(name) : 0;
  };
  RunState state{
      .position = from.integer("position"),
      .epoch_loss_sum = from.real("epoch_loss_sum"),
      .epoch_samples = from.integer("epoch_samples"),
      .skipped = {counter("skipped_steps"), counter("skipped_in_a_row"), counter("epoch_skipped_samples")},
      .loss_scale = {from.checkpoint.reals.contains("loss_scale")
                         ? static_cast<float>(from.real("loss_scale"))
                         : 0.0f,
                     static_cast<int32_t>(counter("loss_scale_steps"))},
      .watched = {from.real("best"), from.integer("best_epoch"), from.integer("bad_epochs")},
      .best = {from.real("saved_best"), from.integer("saved_best_epoch"), 0}};
  for (size_t k = 0; from.checkpoint.reals.contains(output_loss_sum(k)); ++k)
    state.output_loss_sums.push_back(from.real(output_loss_sum(k)));
  std::vector<std::string> warnings;
  const RunData::Changes changes = data_.since(from);
  if (!changes.texts.empty()) {
    warnings.push_back(fmt::format("data or batches differ from those of {}: {}.", from.path,
                                   fmt::join(changes.texts, "; ")));
    if (!resume.allow_changed)
      fail(ExitCode::data, "{} Undo the change, or add --allow-changed.", warnings[0]);
  }
  restore_model(from.checkpoint, from.path, parts_.exec, parts_.parameters, parts_.options.optimizer.name,
                &parts_.optimizer, parts_.shared ? &*parts_.shared : nullptr);
  if (changes.train || changes.steps) {
    state.position = start_of_epoch(state.position, from.integer("steps_per_epoch"));
    state.epoch_loss_sum = 0;
    state.output_loss_sums.clear();
    state.epoch_samples = state.skipped.epoch_samples = 0;
    warnings.push_back(fmt::format("The run resumes at the start of epoch {}, step {}.",
                                   state.position / parts_.steps_per_epoch + 1, state.position + 1));
  }
  if (changes.validation || from.text("watched") != parts_.options.watched_metric()) {
    state.watched = state.best = {};
    warnings.emplace_back("The best epoch is determined anew.");
  }
  const std::string wrong = parts_.world.rank() == 0 ? wrong_with_best(state) : "";
  if (!wrong.empty()) warnings.push_back(wrong + " The best epoch from here on replaces it.");
  if (parts_.world.any(!wrong.empty())) state.best = {};
  if (parts_.world.rank() == 0)
    for (const std::string& warning : warnings) log_warning("{}", warning);
  return state;
}

}  // namespace lockstep
