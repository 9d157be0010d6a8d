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

/// What a rank says of itself a few times a second: sent between processes as it lies in memory.
struct RankStatus {
  int64_t step = 0;
  int64_t number = -1;       ///< see Activity
  double stuck_seconds = 0;  ///< since its progress last grew
  Phase phase = Phase::setup;
  std::array<char, 119> file{};  ///< see Activity; the end of a long name
};
static_assert(std::is_trivially_copyable_v<RankStatus>);

RankStatus make_status(const Activity::Snapshot& activity, double stuck_seconds);

/// What is known of a rank: its newest status, and how long ago it came.
struct RankState {
  int rank = 0;
  RankStatus status;
  double silent_seconds = 0;
};

/// Why a run cannot go on.
struct Verdict {
  std::vector<int> culprits;  ///< empty: no rank can be singled out
  std::string reason;         ///< one sentence or two: what is known, and what to do
};

/// Ranks that have given no sign of life for the timeout, if any. A rank that has left says nothing any more.
std::optional<Verdict> judge_silence(std::span<const RankState> ranks, double timeout_seconds);

/// Whether some rank has died, hangs or has left while others wait for it. Ranks that move, however slowly,
/// and ranks that wait for one that moves are left alone. A rank that does not move is at fault unless it is
/// in a call that waits for the others. When all are in such calls, those are at fault that have left or are
/// the furthest behind; when they are all in the same call, the network between them is. `ranks` are all
/// ranks of the run.
std::optional<Verdict> judge(std::span<const RankState> ranks, double timeout_seconds);

}  // namespace lockstep
