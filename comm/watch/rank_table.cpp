#include "comm/watch/rank_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

namespace lockstep {

namespace {

constexpr size_t kColumns = 80;
constexpr size_t kDoingColumn = 42;
constexpr size_t kMaxRows = 16;

/// One row; a long last column is wrapped within its column.
std::string row(const std::string& left, std::string doing) {
  std::string text = fmt::format("{:<{}}", left, kDoingColumn);
  constexpr size_t kWidth = kColumns - kDoingColumn;
  while (doing.size() > kWidth) {
    const size_t space = doing.rfind(' ', kWidth);
    const size_t end = space == std::string::npos || space == 0 ? kWidth : space;
    text += doing.substr(0, end) + "\n" + std::string(kDoingColumn, ' ');
    doing.erase(0, doing[end] == ' ' ? end + 1 : end);
  }
  return text + doing + "\n";
}

std::string doing(const RankState& state) {
  const RankStatus& status = state.status;
  std::string text = describe(status.phase, status.number);
  if (status.file[0] != '\0') text += fmt::format(", {}", status.file.data());
  // Ranks report several times per second, but less often in a large run: this much silence is unusual.
  constexpr double kSilent = 2;
  if (status.phase != Phase::ended && state.silent_seconds > std::max(kSilent, status.stuck_seconds))
    text = "silent; before: " + text;
  return text;
}

}  // namespace

std::string rank_table(std::span<const RankState> ranks, std::span<const RankPlace> places,
                       const std::vector<int>& culprits) {
  const auto is_culprit = [&](const RankState& state) {
    return std::ranges::find(culprits, state.rank) != culprits.end();
  };
  std::vector<const RankState*> order;
  for (const RankState& state : ranks) order.push_back(&state);
  std::stable_partition(order.begin(), order.end(),
                        [&](const RankState* state) { return is_culprit(*state); });

  std::string text =
      row(fmt::format("{:>5}  {:<12}{:>8}{:>8}{:>6}", "rank", "machine", "process", "step", "for"), "");
  text.erase(text.find_last_not_of(" \n") + 1);
  text += "\n";
  const size_t shown = std::min(order.size(), kMaxRows);
  for (size_t i = 0; i < shown; ++i) {
    const RankState& state = *order[i];
    const RankPlace& place = places[static_cast<size_t>(state.rank)];
    text += row(
        fmt::format("{:>5}  {:<12.12}{:>8}{:>8}{:>5.0f}s", state.rank, place.machine.data(), place.process,
                    state.status.step, std::max(state.status.stuck_seconds, state.silent_seconds)),
        doing(state));
  }
  // The rest is grouped by activity: thousands of ranks are in few different places at a time.
  std::map<std::tuple<int64_t, std::string>, int> rest;
  for (size_t i = shown; i < order.size(); ++i) {
    const RankStatus& status = order[i]->status;
    ++rest[{status.step, describe(status.phase, -1)}];
  }
  size_t lines = 0;
  for (const auto& [what, count] : rest) {
    if (++lines > kMaxRows) return text + "  ... and others";
    text += row(fmt::format("{:>5} more{:>25}", count, std::get<0>(what)), std::get<1>(what));
  }
  text.pop_back();
  return text;
}

}  // namespace lockstep
