#include "src/train/observe/step_clock.h"

namespace lockstep {

namespace {

// On a GPU, the host waits for one in kSplitEvery steps to measure its parts, but not for the first four,
// which initialize libraries and capture.
constexpr int64_t kSplitEvery = 16, kSplitFirst = 4;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::optional<std::string> straggler_in(World& world, const StepReport& report,
                                        const std::vector<std::string>& files) {
  return straggler_line(report, world.host_of(report.slowest_rank), files);
}

}  // namespace

StepClock::StepClock(Exec exec, int lanes, Step& step, TimedCommunicator& communicator,
                     TimedCommunicator* statistics)
    : exec_(exec), lanes_(lanes), step_(step), communicator_(communicator), statistics_(statistics) {}

void StepClock::start() { take_seconds_in_sums(); }

void StepClock::begin_step() { step_began_ = Clock::now(); }

void StepClock::has_batch(int64_t position) {
  got_batch_ = Clock::now();
  // The step that begins would overwrite the timestamps of the previous one.
  if (exec_.on_cuda() && splits_newest_) split_on_device();
  splits_newest_ = !exec_.on_cuda() || position % kSplitEvery == kSplitFirst;
  communicator_.begin_step();
}

void StepClock::end_step() {
  communicator_.end_step();
  step_seconds_ = seconds_since(step_began_);
  recorder_.add(step_seconds_);
  if (!exec_.on_cuda()) split_on_host();
}

StepComparison StepClock::compare_newest(World& world, const Loader::Seconds& input,
                                         const std::vector<std::string>& files) {
  if (recorder_.steps_since_gather() == 0) return {};
  const StepReport report = recorder_.gather(world, input);
  return {report, straggler_in(world, report, files)};
}

StepComparison StepClock::compare_all(World& world, const Loader::Seconds& input,
                                      const std::vector<std::string>& files) {
  const bool compared_already = recorder_.steps_since_gather() == 0 && recorder_.gathers() == 1;
  if (recorder_.steps_since_gather() > 0) recorder_.gather(world, input);
  if (recorder_.gathers() == 0) return {};
  const StepReport report = recorder_.whole_run();
  return {report, compared_already ? std::nullopt : straggler_in(world, report, files)};
}

/// Seconds for which all-reduces blocked this rank since the last call.
double StepClock::take_seconds_in_sums() {
  // All lanes wait for statistics.
  return communicator_.take_seconds(lanes_) + (statistics_ != nullptr ? statistics_->take_seconds(1) : 0);
}

void StepClock::split_on_host() {
  const double seconds = seconds_since(got_batch_);
  const double in_sums = take_seconds_in_sums(), copy = step_.seconds().copy;
  recorder_.add_parts(copy, seconds - copy - in_sums, in_sums);
}

void StepClock::split_on_device() {
  const Step::Seconds seconds = step_.seconds();
  const double in_sums = communicator_.device_seconds().exposed;
  recorder_.add_parts(seconds.copy, seconds.total - seconds.copy - in_sums, in_sums);
}

}  // namespace lockstep
