#include "src/train/step/step_split.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include "src/core/error.h"

namespace lockstep {

namespace {

/// Limits the number of entries: beyond it, adjacent ones are merged, since an epoch may have millions of
/// steps.
constexpr size_t kMaxSums = 1 << 16;

/// The slowdown from which a rank is reported. Healthy ranks of one machine differ by a few percent per
/// epoch.
constexpr double kWorthTelling = 0.1;
/// Smaller differences per step are within the time that rank 0 needs to write its metrics.
constexpr double kMinSeconds = 1e-4;

constexpr std::array kParts = {&StepSplit::read,    &StepSplit::decode,        &StepSplit::copy,
                               &StepSplit::compute, &StepSplit::communication, &StepSplit::wait};

StepSplit scaled(const StepSplit& split, double factor) {
  StepSplit result;
  for (const auto part : kParts) result.*part = split.*part * factor;
  return result;
}

void add_to(StepSplit& sum, const StepSplit& split) {
  for (const auto part : kParts) sum.*part += split.*part;
}

/// The splits of all ranks, by rank. Collective.
std::vector<StepSplit> gather_splits(World& world, const StepSplit& mine) {
  const auto ranks = static_cast<size_t>(world.size());
  std::vector<double> all(ranks * kParts.size());
  const size_t first = static_cast<size_t>(world.rank()) * kParts.size();
  for (size_t part = 0; part < kParts.size(); ++part) all[first + part] = mine.*kParts[part];
  world.sum(all);
  std::vector<StepSplit> splits(ranks);
  for (size_t rank = 0; rank < ranks; ++rank)
    for (size_t part = 0; part < kParts.size(); ++part)
      splits[rank].*kParts[part] = all[rank * kParts.size() + part];
  return splits;
}

}  // namespace

void StepSplitRecorder::add(double seconds) {
  ++steps_;
  seconds_ += seconds;
}

void StepSplitRecorder::add_parts(double copy, double compute, double in_sums) {
  ++steps_with_parts_;
  copy_ += copy;
  compute_ += compute;
  if (steps_in_last_ == 0) in_sums_.push_back(0);
  in_sums_.back() += in_sums;
  steps_in_last_ = (steps_in_last_ + 1) % steps_a_sum_;
  if (in_sums_.size() < kMaxSums || steps_in_last_ != 0) return;
  for (size_t i = 0; i < kMaxSums / 2; ++i) in_sums_[i] = in_sums_[2 * i] + in_sums_[2 * i + 1];
  in_sums_.resize(kMaxSums / 2);
  steps_a_sum_ *= 2;
}

StepReport StepSplitRecorder::gather(World& world, const Loader::Seconds& input) {
  INVARIANT(steps_ > 0, "no steps to compare");
  if (!in_sums_.empty()) {
    const double in_sums = std::accumulate(in_sums_.begin(), in_sums_.end(), 0.0);
    world.min(in_sums_);
    const double communication = std::accumulate(in_sums_.begin(), in_sums_.end(), 0.0);
    parts_ = scaled(
        {.copy = copy_, .compute = compute_, .communication = communication, .wait = in_sums - communication},
        1 / static_cast<double>(steps_with_parts_));
  }
  // Reading ahead is free; the time for which steps were blocked is divided like the time of the readers.
  const double waited = input.waited - input_before_.waited;
  const double read = input.read - input_before_.read, decode = input.decode - input_before_.decode;
  const double rest = seconds_ - waited;
  StepSplit mine = scaled(parts_, std::min(static_cast<double>(steps_), rest / parts_.total()));
  // Time that the GPU does not measure was spent by the host.
  mine.compute += rest - mine.total();
  mine.read = read > 0 ? waited * read / (read + decode) : 0;
  mine.decode = waited - mine.read;
  const std::vector<StepSplit> all = gather_splits(world, mine);
  run_.resize(all.size());
  for (size_t rank = 0; rank < all.size(); ++rank) add_to(run_[rank], all[rank]);
  run_steps_ += steps_;
  ++gathers_;

  const int64_t steps = std::exchange(steps_, 0);
  seconds_ = copy_ = compute_ = 0;
  steps_with_parts_ = 0;
  in_sums_.clear();
  steps_a_sum_ = 1;
  steps_in_last_ = 0;
  input_before_ = input;
  return compare_ranks(all, steps);
}

StepReport StepSplitRecorder::whole_run() const { return compare_ranks(run_, run_steps_); }

StepReport compare_ranks(const std::vector<StepSplit>& ranks, int64_t steps) {
  const double a_step = 1 / static_cast<double>(steps);
  std::vector<int> by_own(ranks.size());
  std::iota(by_own.begin(), by_own.end(), 0);
  std::stable_sort(by_own.begin(), by_own.end(), [&](int a, int b) {
    return ranks[static_cast<size_t>(a)].own() < ranks[static_cast<size_t>(b)].own();
  });
  StepReport report;
  report.ranks = static_cast<int>(ranks.size());
  report.steps = steps;
  for (const StepSplit& rank : ranks)
    add_to(report.mean, scaled(rank, a_step / static_cast<double>(ranks.size())));
  report.slowest_rank = by_own.back();
  report.slowest = scaled(ranks[static_cast<size_t>(by_own.back())], a_step);
  // Of two ranks the faster one, because both could be that fast.
  report.median = scaled(ranks[static_cast<size_t>(by_own[(by_own.size() - 1) / 2])], a_step);
  return report;
}

std::optional<std::string> straggler_line(const StepReport& report, const std::string& host,
                                          const std::vector<std::string>& files) {
  const double more = report.slowest.own() - report.median.own();
  const double without = report.slowest.total() - more;
  if (more < kMinSeconds || more < kWorthTelling * without) return std::nullopt;

  struct Part {
    const char* name;
    double more;
  };
  Part parts[] = {{"read", report.slowest.read - report.median.read},
                  {"decode", report.slowest.decode - report.median.decode},
                  {"copy", report.slowest.copy - report.median.copy},
                  {"compute", report.slowest.compute - report.median.compute}};
  std::sort(std::begin(parts), std::end(parts), [](const Part& a, const Part& b) { return a.more > b.more; });
  std::string list;
  for (const Part& part : parts) {
    if (part.more < more / 4) break;
    list += fmt::format("{}{} +{:.2f} ms per step", list.empty() ? "" : ", ", part.name, 1000 * part.more);
    if (part.name == std::string_view("read") && !files.empty())
      list += fmt::format(" ({}{})", files.front(),
                          files.size() > 1 ? fmt::format(" and {} more", files.size() - 1) : "");
  }
  return fmt::format("rank {} ({}) slows each step down by {:.0f} %: {}", report.slowest_rank, host,
                     100 * more / without, list);
}

}  // namespace lockstep
