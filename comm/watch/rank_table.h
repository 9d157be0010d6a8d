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

/// A table of what each rank is doing, for a terminal of 80 columns: the culprits, a few of the others, and a
/// summary of the rest. Ends without a line feed. `places` are those of all ranks of the run, by rank.
std::string rank_table(std::span<const RankState> ranks, std::span<const RankPlace> places,
                       const std::vector<int>& culprits);

}  // namespace lockstep
