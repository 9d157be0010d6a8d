#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>

namespace lockstep {

/// A count with its noun: "1 rank", "2 ranks". `plural` is needed only if it is not the noun plus "s".
template <typename Count>
std::string counted(Count count, std::string_view noun, std::string_view plural = {}) {
  if (count == 1) return fmt::format("1 {}", noun);
  return plural.empty() ? fmt::format("{} {}s", count, noun) : fmt::format("{} {}", count, plural);
}

}  // namespace lockstep
