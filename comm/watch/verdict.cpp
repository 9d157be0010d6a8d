#include "comm/watch/verdict.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <tuple>

namespace lockstep {

namespace {

using Ranks = std::span<const RankState>;

/// Whether the rank is in a call that returns only when other ranks make it too.
bool waits(const RankStatus& status) {
  return status.phase == Phase::collective || status.phase == Phase::wait || status.phase == Phase::device;
}

bool ended(const RankState& rank) { return rank.status.phase == Phase::ended; }

/// A key that orders ranks by how far they are in the run. Phases that wait are not ordered among themselves.
std::tuple<int64_t, Phase, int64_t> place_of(const RankState& rank) {
  return {rank.status.step, rank.status.phase, rank.status.number};
}

std::vector<int> those(Ranks ranks, const std::function<bool(const RankState&)>& which) {
  std::vector<int> found;
  for (const RankState& rank : ranks)
    if (which(rank)) found.push_back(rank.rank);
  return found;
}

const RankState& state_of(Ranks ranks, int rank) {
  return *std::ranges::find_if(ranks, [rank](const RankState& state) { return state.rank == rank; });
}

/// "rank 2", "ranks 2 and 5", "ranks 0, 1, 2 and 40 more".
std::string named(const std::vector<int>& ranks) {
  constexpr size_t kMaxNamed = 4;
  if (ranks.size() == 1) return fmt::format("rank {}", ranks[0]);
  if (ranks.size() > kMaxNamed)
    return fmt::format("ranks {} and {} more", fmt::join(std::span(ranks).first(kMaxNamed - 1), ", "),
                       ranks.size() - (kMaxNamed - 1));
  return fmt::format("ranks {} and {}", fmt::join(std::span(ranks).first(ranks.size() - 1), ", "),
                     ranks.back());
}

const char* choose(const std::vector<int>& ranks, const char* one, const char* several) {
  return ranks.size() == 1 ? one : several;
}

std::string in_words(const RankStatus& status) {
  std::string text = describe(status.phase, status.number);
  if (status.file[0] != '\0') text += fmt::format(" ({})", status.file.data());
  return text;
}

/// What to check if a rank does not return from what it does.
const char* advice(const RankStatus& status) {
  if (status.file[0] != '\0') return "Look at that file system.";
  return "Look at that machine, or attach a debugger to the process; if the phase is only slow, raise "
         "comm.timeout_seconds.";
}

Verdict stuck_verdict(Ranks ranks, std::vector<int> culprits) {
  const RankStatus& first = state_of(ranks, culprits[0]).status;
  std::string reason = fmt::format("{} {} made no progress for {:.0f} s: {} {}. {}", named(culprits),
                                   choose(culprits, "has", "have"), first.stuck_seconds,
                                   choose(culprits, "it", "the first"), in_words(first), advice(first));
  return {std::move(culprits), std::move(reason)};
}

Verdict left_verdict(std::vector<int> culprits) {
  std::string reason = fmt::format(
      "{} {} left the training while the others still wait for {}. This is a bug in Lockstep, or in a "
      "program built on it.",
      named(culprits), choose(culprits, "has", "have"), choose(culprits, "it", "them"));
  return {std::move(culprits), std::move(reason)};
}

/// Every rank waits for others and none makes progress.
Verdict deadlock_verdict(Ranks ranks) {
  const auto behind = std::ranges::min_element(ranks, {}, place_of);
  const auto ahead = std::ranges::max_element(ranks, {}, place_of);
  const double seconds = behind->status.stuck_seconds;
  if (place_of(*behind) == place_of(*ahead))
    return {
        {},
        fmt::format(
            "no rank has made progress for {:.0f} s: each {} in step {}. The network between them is lost, "
            "or a GPU hangs. Look at the machines' logs (for NCCL, set NCCL_DEBUG=WARN).",
            seconds, in_words(behind->status), behind->status.step)};
  // Ranks that are behind hold up the others; but if most are behind, the few that are ahead are at fault.
  std::vector<int> culprits =
      those(ranks, [&](const RankState& rank) { return place_of(rank) == place_of(*behind); });
  const RankStatus* there = &ahead->status;
  if (2 * culprits.size() > ranks.size()) {
    culprits = those(ranks, [&](const RankState& rank) { return place_of(rank) != place_of(*behind); });
    there = &behind->status;
  }
  const RankStatus& here = state_of(ranks, culprits[0]).status;
  std::string reason = fmt::format(
      "no rank has made progress for {:.0f} s, and {} {} out of step with the others: {} in step {}, another "
      "{} in step {}. The network to {} is lost, or the GPU hangs.",
      seconds, named(culprits), choose(culprits, "is", "are"), in_words(here), here.step, in_words(*there),
      there->step, choose(culprits, "it", "them"));
  return {std::move(culprits), std::move(reason)};
}

}  // namespace

RankStatus make_status(const Activity::Snapshot& activity, double stuck_seconds) {
  RankStatus status{.step = activity.step,
                    .number = activity.number,
                    .stuck_seconds = stuck_seconds,
                    .phase = activity.phase,
                    .file = {}};
  const size_t room = status.file.size() - 1;
  const size_t kept = std::min(activity.file.size(), room);
  std::memcpy(status.file.data(), activity.file.data() + activity.file.size() - kept, kept);
  return status;
}

std::optional<Verdict> judge_silence(Ranks ranks, double timeout) {
  std::vector<int> culprits =
      those(ranks, [&](const RankState& rank) { return !ended(rank) && rank.silent_seconds > timeout; });
  if (culprits.empty()) return std::nullopt;
  std::string reason = fmt::format(
      "{} {} sent no status for {:.0f} s: stopped (SIGSTOP, a debugger), killed, or the machine or its "
      "network is lost. Look at {} (dmesg tells whether memory ran out), then resume from the newest "
      "checkpoint.",
      named(culprits), choose(culprits, "has", "have"), state_of(ranks, culprits[0]).silent_seconds,
      choose(culprits, "that machine", "those machines"));
  return Verdict{std::move(culprits), std::move(reason)};
}

std::optional<Verdict> judge(Ranks ranks, double timeout) {
  if (auto silent = judge_silence(ranks, timeout)) return silent;
  const auto stuck = [timeout](const RankState& rank) {
    return !ended(rank) && rank.status.stuck_seconds > timeout;
  };
  if (auto culprits = those(ranks, [&](const RankState& rank) { return stuck(rank) && !waits(rank.status); });
      !culprits.empty())
    return stuck_verdict(ranks, std::move(culprits));

  // Some rank made progress recently: the others may be waiting for it.
  if (!std::ranges::all_of(ranks, [&](const RankState& rank) { return ended(rank) || stuck(rank); }))
    return std::nullopt;
  std::vector<int> left = those(ranks, ended);
  if (left.size() == ranks.size()) return std::nullopt;
  if (!left.empty()) return left_verdict(std::move(left));
  return deadlock_verdict(ranks);
}

}  // namespace lockstep
