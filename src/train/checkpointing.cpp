#include "src/train/checkpointing.h"

#include <utility>

#include "src/core/activity.h"

namespace lockstep {

Checkpointing::Checkpointing(Parts parts) : parts_(std::move(parts)) {}

void Checkpointing::start() { saved_at_ = Clock::now(); }

bool Checkpointing::due(int64_t position) const {
  const TrainOptions& options = parts_.options;
  const bool epoch_ended = position % parts_.steps_per_epoch == 0;
  const int64_t epochs = options.checkpoint_every_epochs, steps = options.checkpoint_every_steps;
  if (epoch_ended && epochs > 0 && position / parts_.steps_per_epoch % epochs == 0) return true;
  return steps > 0 && position % steps == 0;
}

bool Checkpointing::minutes_passed() const {
  const double minutes = parts_.options.checkpoint_every_minutes;
  return minutes > 0 && std::chrono::duration<double>(Clock::now() - saved_at_).count() > 60 * minutes;
}

double Checkpointing::expected_seconds() const {
  constexpr double kBytesPerSecond = 1e8;  // of a file system that is shared with other jobs
  const size_t floats = parts_.parameters.weights().size() * (1 + parts_.optimizer.state().size());
  return static_cast<double>(floats * sizeof(float)) / kBytesPerSecond;
}

void Checkpointing::save(const RunState& state) {
  const Clock::time_point begin = Clock::now();
  const std::string path = checkpoint_path(parts_.options.run_dir, state.position);
  write(path, state);
  if (parts_.world.rank() == 0)
    publish_checkpoint(parts_.options.run_dir, path, parts_.options.checkpoint_keep);
  saved_position_ = state.position;
  saved_at_ = Clock::now();
  newest_seconds_ = std::chrono::duration<double>(saved_at_ - begin).count();
}

void Checkpointing::save_last(const RunState& state) {
  if (saved_position_ != state.position) save(state);
}

void Checkpointing::save_best(const RunState& state) {
  write(best_checkpoint_path(parts_.options.run_dir), state);
}

void Checkpointing::write(const std::string& path, const RunState& state) {
  // A checkpoint of ranks that differ would hide that they did.
  if (parts_.replicas != nullptr) parts_.replicas->check(parts_.world, state.position);
  const PhaseScope saving(Phase::checkpoint);
  const SharedState* shared = parts_.shared ? &*parts_.shared : nullptr;
  if (parts_.world.rank() != 0) {
    if (shared != nullptr) send_state(parts_.optimizer, *shared);
    return;
  }
  const TrainOptions& options = parts_.options;
  Checkpoint checkpoint;
  add_model(checkpoint, parts_.exec, parts_.parameters, options.optimizer.name, &parts_.optimizer, shared);
  checkpoint.integers = {{"position", state.position},
                         {"best_epoch", state.watched.best_epoch},
                         {"bad_epochs", state.watched.bad_epochs},
                         {"steps_per_epoch", parts_.steps_per_epoch},
                         {"seed", static_cast<int64_t>(options.seed)},
                         {"epoch_samples", state.epoch_samples},
                         {"data_fingerprint", static_cast<int64_t>(parts_.train.fingerprint())}};
  checkpoint.reals = {{"epoch_loss_sum", state.epoch_loss_sum}, {"best", state.watched.best}};
  checkpoint.strings = {{"lockstep_version", LOCKSTEP_VERSION},
                        {"config", options.config_text},
                        {"data", parts_.data_description},
                        {"weights_hash", fmt::format("{:016x}", parts_.parameters.weights_hash())}};
  save_checkpoint(path, checkpoint);
}

RunState Checkpointing::restore(const ResumeFrom& from) {
  const auto value = [&](const auto& values, const std::string& name) {
    const auto found = values.find(name);
    if (found == values.end())
      fail(ExitCode::data, "{} lacks '{}': it is not a checkpoint of a training run.", from.path, name);
    return found->second;
  };
  const auto integer = [&](const std::string& name) { return value(from.checkpoint.integers, name); };
  const auto real = [&](const std::string& name) { return value(from.checkpoint.reals, name); };
  if (integer("data_fingerprint") != static_cast<int64_t>(parts_.train.fingerprint()))
    fail(ExitCode::data,
         "{} was trained on other data than {}. Start a new run, or name the data it was trained on.",
         from.path, parts_.train.describe());
  if (integer("steps_per_epoch") != parts_.steps_per_epoch)
    fail(ExitCode::data,
         "{} has {} steps an epoch, and this run has {}: train.global_batch or the data changed.", from.path,
         integer("steps_per_epoch"), parts_.steps_per_epoch);
  restore_model(from.checkpoint, from.path, parts_.exec, parts_.parameters, parts_.options.optimizer.name,
                &parts_.optimizer, parts_.shared ? &*parts_.shared : nullptr);
  return {.position = integer("position"),
          .epoch_loss_sum = real("epoch_loss_sum"),
          .epoch_samples = integer("epoch_samples"),
          .watched = {real("best"), integer("best_epoch"), integer("bad_epochs")}};
}

}  // namespace lockstep
