#include "launch/run/run_folder.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "io/file/atomic_file.h"
#include "src/core/log.h"
#include "src/core/text/json.h"

namespace lockstep {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

bool holds_run(const fs::path& folder) {
  std::error_code status;
  return fs::exists(folder / "config.toml", status) || fs::exists(folder / "checkpoints", status);
}

/// Reports an obstacle before the data is read.
void check_writable(const fs::path& folder) {
  std::error_code status;
  fs::path there = folder;
  while (!fs::exists(there, status) && there != there.parent_path()) there = there.parent_path();
  if (!fs::is_directory(there, status))
    fail(ExitCode::data, "cannot create the run folder {}: {} is not a folder.", folder.string(),
         there.string());
  if (access(there.c_str(), W_OK | X_OK) != 0)
    fail(ExitCode::data, "cannot create the run folder {}: {}: {}. Name another with --run.", folder.string(),
         there.string(), std::strerror(errno));
}

/// runs/NAME in the current folder.
fs::path first_folder(const Config& config) {
  if (config.run.name.empty() || config.run.name.find('/') != std::string::npos)
    fail(ExitCode::usage,
         "run.name = \"{}\" cannot name a folder below runs. Choose one word, or a folder with --run.",
         config.run.name);
  return fs::current_path() / "runs" / config.run.name;
}

/// runs/NAME, runs/NAME-2, runs/NAME-3, ...
fs::path numbered(const fs::path& first, int number) {
  return number == 1 ? first : fs::path(first.string() + "-" + std::to_string(number));
}

void check_holds_no_run(const std::string& folder) {
  if (holds_run(folder))
    fail(ExitCode::usage, "{} holds a run already. Resume it with --resume auto, or name another folder.",
         folder);
}

}  // namespace

std::string choose_run_folder(const Config& config, bool resume) {
  if (!config.run.dir.empty()) {
    if (!resume) check_holds_no_run(config.run.dir);
    check_writable(config.run.dir);
    return config.run.dir;
  }
  const fs::path first = first_folder(config);
  int number = 1;
  while (holds_run(numbered(first, number))) ++number;
  const fs::path chosen = numbered(first, resume ? std::max(1, number - 1) : number);
  check_writable(chosen);
  return chosen.string();
}

std::unique_ptr<RunLock> take_run_folder(const Config& config, bool resume) {
  // The ranks of a killed launcher may still be ending.
  constexpr double kEndingSeconds = 5;
  if (resume) return RunLock::take(choose_run_folder(config, resume), kEndingSeconds);
  if (!config.run.dir.empty()) {
    check_writable(config.run.dir);
    std::unique_ptr<RunLock> lock = RunLock::take(config.run.dir, 0);
    check_holds_no_run(config.run.dir);
    return lock;
  }
  const fs::path first = first_folder(config);
  for (int number = 1;; ++number) {
    const fs::path folder = numbered(first, number);
    if (holds_run(folder)) continue;
    check_writable(folder);
    std::string holder;
    std::unique_ptr<RunLock> lock = RunLock::try_take(folder.string(), holder);
    // Check again: another run may have started and ended there meanwhile.
    if (lock && !holds_run(folder)) return lock;
  }
}

void make_run_folder(const std::string& folder, const std::string& config_text) {
  std::error_code status;
  fs::create_directories(fs::path(folder) / "checkpoints", status);
  if (status)
    fail(ExitCode::data, "cannot create the run folder {}: {}. Name another with --run.", folder,
         status.message());
  write_text_atomically(folder + "/config.toml", config_text);
  set_log_file(folder + "/log.txt");
}

namespace {

/// The parts of a step's time, in milliseconds.
Json milliseconds(const StepSplit& split) {
  return {{"read", 1000 * split.read},
          {"decode", 1000 * split.decode},
          {"copy", 1000 * split.copy},
          {"compute", 1000 * split.compute},
          {"communication", 1000 * split.communication},
          {"wait", 1000 * split.wait}};
}

void add_metrics(Json& line, const std::string& split, const Evaluation& evaluation) {
  for (const Evaluation::Value& metric : evaluation.metrics) line[split + metric.name] = metric.value;
}

void add_steps(Json& line, const StepReport& report) {
  line["step_ms"] = milliseconds(report.mean);
  if (report.ranks == 1) return;
  line["slowest_rank"] = report.slowest_rank;
  line["slowest_rank_step_ms"] = milliseconds(report.slowest);
}

void add_output_losses(Json& line, const std::vector<OutputLoss>& losses) {
  for (const OutputLoss& output : losses) line["output_loss"][output.name] = output.loss;
}

Json memory_json(const MemoryUse& memory) {
  Json json{{"planned_bytes", memory.planned_on.total()},
            {"allocated_bytes", memory.allocated.total()},
            {"planned_device_bytes", memory.planned_on.device},
            {"allocated_device_bytes", memory.allocated.device}};
  for (const MemoryPurpose& purpose : memory_purposes()) json[purpose.key] = memory.planned.*purpose.bytes;
  return json;
}

}  // namespace

Json metrics_line(const StepEvent& event) {
  Json line{{"event", "step"},    {"step", event.step}, {"epoch", event.epoch},
            {"loss", event.loss}, {"lr", event.lr},     {"samples_per_s", event.samples_per_s}};
  add_output_losses(line, event.output_losses);
  if (event.skipped_in_a_row > 0 || event.overflowed) line["skipped"] = true;
  if (event.loss_scale > 0) line["loss_scale"] = event.loss_scale;
  return line;
}

Json metrics_line(const PaceEvent& event) {
  return {{"event", "pace"},
          {"step", event.step},
          {"read_samples_per_s", event.pace.read_per_s},
          {"model_samples_per_s", event.pace.taken_per_s},
          {"waited", event.pace.waited}};
}

Json metrics_line(const EpochEvent& event) {
  Json line{
      {"event", "epoch"}, {"epoch", event.epoch}, {"step", event.step}, {"train_loss", event.train_loss}};
  add_output_losses(line, event.output_losses);
  if (event.validation) {
    line["validation_loss"] = event.validation->loss;
    add_metrics(line, "validation_", *event.validation);
  }
  if (event.skipped_steps > 0) line["skipped_steps"] = event.skipped_steps;
  line["seconds"] = event.seconds;
  if (event.steps) add_steps(line, *event.steps);
  return line;
}

Json metrics_line(const EndEvent& event) {
  Json line{{"event", "end"}, {"reason", event.reason}, {"step", event.step}};
  if (event.test) {
    line["test_loss"] = event.test->loss;
    add_metrics(line, "test_", *event.test);
  }
  if (event.skipped_steps > 0) line["skipped_steps"] = event.skipped_steps;
  line["weights_hash"] = fmt::format("{:016x}", event.weights_hash);
  line["seconds"] = event.seconds;
  line["saves"] = event.saves;
  line["save_seconds"] = event.save_seconds;
  line["peak_host_bytes"] = event.peak_host_bytes;
  line["peak_device_bytes"] = event.peak_device_bytes;
  line["memory"] = memory_json(event.memory);
  if (event.steps) add_steps(line, *event.steps);
  return line;
}

}  // namespace lockstep
