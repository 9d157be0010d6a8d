#include "src/core/range.h"

#include <fmt/core.h>

#include <limits>

namespace lockstep {

std::string to_string(const Range& range) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  if (range.min == -infinity && range.max == infinity) return "a number";
  if (range.max == infinity) return fmt::format("{} {}", range.min_open ? "above" : "at least", range.min);
  if (!range.min_open && !range.max_open) return fmt::format("from {} to {}", range.min, range.max);
  return fmt::format("in {}{}, {}{}", range.min_open ? '(' : '[', range.min, range.max,
                     range.max_open ? ')' : ']');
}

}  // namespace lockstep
