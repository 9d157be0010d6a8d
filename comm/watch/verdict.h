#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "src/core/activity.h"

namespace lockstep {

/// A rank's status report, sent a few times per second as raw bytes.
struct RankStatus {
  int64_t step = 0;
  int64_t number = -1;       ///< see Activity
  double stuck_seconds = 0;  ///< since it last made progress
  Phase phase = Phase::setup;
  std::array<char, 119> file{};  ///< see Activity; the end of a long name
};
static_assert(std::is_trivially_copyable_v<RankStatus>);

RankStatus make_status(const Activity::Snapshot& activity, double stuck_seconds);

/// What is known about a rank: its newest status, and how long ago it arrived.
struct RankState {
  int rank = 0;
  RankStatus status;
  double silent_seconds = 0;
};

/// Why a run cannot continue.
struct Verdict {
  std::vector<int> culprits;  ///< empty: no single rank can be blamed
  std::string reason;         ///< one or two sentences: what is known, and what to do
};

/// Blames ranks that have sent no status for the timeout, if any. Ranks that have left are exempt.
std::optional<Verdict> judge_silence(std::span<const RankState> ranks, double timeout_seconds);

/// Whether a rank has died, hangs or has left while others wait for it. Ranks that make progress, however
/// slowly, and ranks that wait for one that does are not blamed. A rank without progress is at fault unless
/// it is in a call that waits for the others. If all are in such calls, the ranks that have left or are
/// furthest behind are at fault; if all are in the same call, the network is. `ranks` are all ranks of the
/// run.
std::optional<Verdict> judge(std::span<const RankState> ranks, double timeout_seconds);

}  // namespace lockstep
