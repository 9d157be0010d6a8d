#include "launch/report/progress.h"

#include <algorithm>
#include <cmath>

#include "launch/report/report.h"
#include "src/core/counted.h"
#include "src/core/log.h"

namespace lockstep {

namespace {

using namespace std::chrono_literals;

/// Shorter epochs are not reported: any rank may be slow for a moment because of other processes.
constexpr double kSecondsOfAStraggler = 10;
/// Minimum time between two reports; metrics.jsonl has all of them.
constexpr auto kPauseBetweenWarnings = 10min;

std::string readable(const Evaluation::Value& metric) {
  return metric.is_share ? fmt::format("{:.2f} %", 100 * metric.value) : fmt::format("{:.4f}", metric.value);
}

}  // namespace

std::string readable_seconds(double seconds) {
  const auto whole = static_cast<int64_t>(std::lround(std::max(seconds, 0.0)));
  const int64_t hours = whole / 3600, minutes = whole / 60 % 60;
  return hours > 0 ? fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60)
                   : fmt::format("{}:{:02}", minutes, whole % 60);
}

std::string progress_line(const StepEvent& event, double samples_per_s, double seconds_left, int columns) {
  // The most important field first.
  const std::string fields[] = {fmt::format("epoch {}", event.epoch),
                                fmt::format("step {}/{}", event.step, event.total_steps),
                                fmt::format("loss {:.4f}", event.loss),
                                fmt::format("ETA {}", readable_seconds(seconds_left)),
                                fmt::format("{} samples/s", readable_count(std::llround(samples_per_s))),
                                fmt::format("lr {:.2e}", event.lr)};
  std::string line;
  for (const std::string& field : fields) {
    const std::string longer = line.empty() ? field : line + "  " + field;
    if (static_cast<int>(longer.size()) > columns) break;
    line = longer;
  }
  return line;
}

Progress::Progress(const Environment& environment)
    : interactive_(environment.interactive), line_(environment), started_(Clock::now()), shown_(started_) {}

void Progress::step(const StepEvent& event) {
  const Clock::time_point now = Clock::now();
  if (first_step_ == 0) {
    first_step_ = event.step;
    started_ = now;
  }
  if (event.skipped_in_a_row > 0) {
    clear();
    log_warning("step {} was not finite and was skipped ({} in a row): loss {}, gradient norm {}", event.step,
                event.skipped_in_a_row, event.loss, event.gradient_norm);
  }
  const double sample_seconds = 1 / event.samples_per_s;
  seconds_per_sample_ =
      seconds_per_sample_ == 0 ? sample_seconds : 0.98 * seconds_per_sample_ + 0.02 * sample_seconds;
  const auto pause = interactive_ ? Clock::duration(100ms) : Clock::duration(5s);
  if (now - shown_ < pause) return;
  shown_ = now;
  const auto done = static_cast<double>(event.step - first_step_);
  const double elapsed = std::chrono::duration<double>(now - started_).count();
  const double left = done > 0 ? elapsed / done * static_cast<double>(event.total_steps - event.step) : 0;
  const std::string line =
      progress_line(event, 1 / seconds_per_sample_, left, interactive_ ? line_.columns() : 80);
  if (interactive_)
    line_.draw(line);
  else
    log_info("{}", line);
}

void Progress::pace(const PaceEvent& event) {
  clear();
  log_line(is_held_up(event.pace) ? LogLevel::warning : LogLevel::info, event.text);
}

void Progress::epoch(const EpochEvent& event, int64_t epochs) {
  clear();
  std::string line = fmt::format("epoch {}{}  train loss {:.4f}", event.epoch,
                                 epochs > 0 ? fmt::format("/{}", epochs) : "", event.train_loss);
  for (const OutputLoss& output : event.output_losses)
    line += fmt::format("{}{} {:.4f}", &output == event.output_losses.data() ? " (" : ", ", output.name,
                        output.loss);
  if (!event.output_losses.empty()) line += ")";
  if (event.validation) {
    line += fmt::format("  validation loss {:.4f}", event.validation->loss);
    for (const Evaluation::Value& metric : event.validation->metrics)
      line += fmt::format("  {} {}", metric.name, readable(metric));
  }
  log_info("{}  {:.1f} s", line, event.seconds);
  const bool just_warned = warned_ && Clock::now() - *warned_ < kPauseBetweenWarnings;
  if (!event.straggler || event.seconds < kSecondsOfAStraggler || just_warned) return;
  log_warning("{}", *event.straggler);
  warned_ = Clock::now();
}

void Progress::end(const EndEvent& event) {
  clear();
  if (event.test) {
    std::string metrics;
    for (const Evaluation::Value& metric : event.test->metrics)
      metrics += fmt::format("test {} {}, ", metric.name, readable(metric));
    log_info("{}test loss {:.4f}, {} sample{}", metrics, event.test->loss,
             readable_count(event.test->samples), event.test->samples == 1 ? "" : "s");
  }
  log_info("{}{} at step {} after {}, peak memory {}, weights {:016x}", event.reason,
           event.cause.empty() ? "" : fmt::format(" ({})", event.cause), event.step,
           readable_seconds(event.seconds), readable_bytes(event.peak_host_bytes), event.weights_hash);
  if (event.memory.planned_on.total() > 0)
    log_info("buffers of rank 0: {} allocated, {} planned ({:+.1f} %)",
             readable_bytes(event.memory.allocated.total()), readable_bytes(event.memory.planned_on.total()),
             100 * event.memory.difference());
  if (event.skipped_steps > 0)
    log_warning("the run skipped {} that {} not finite", counted(event.skipped_steps, "step"),
                event.skipped_steps == 1 ? "was" : "were");
  if (event.straggler && event.seconds >= kSecondsOfAStraggler)
    log_warning("over the whole run, {}", *event.straggler);
}

}  // namespace lockstep
