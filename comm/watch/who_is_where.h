#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "comm/watch/verdict.h"

namespace lockstep {

/// Where a rank runs.
struct RankPlace {
  std::array<char, 60> machine{};
  int32_t process = 0;
};

/// A table of who is where, without a line feed at its end, for a terminal of 80 columns: the culprits, a few
/// of the others, and a summary of the rest. `places` are those of all ranks of the run, by rank.
std::string who_is_where(std::span<const RankState> ranks, std::span<const RankPlace> places,
                         const std::vector<int>& culprits);

}  // namespace lockstep
