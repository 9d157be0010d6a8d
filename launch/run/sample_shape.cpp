#include "launch/run/sample_shape.h"

#include <charconv>
#include <vector>

#include "src/core/error.h"

namespace lockstep {

Shape parse_sample_shape(const std::string& option, const std::string& text) {
  std::vector<int64_t> extents;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at <= end) {
    int64_t extent = 0;
    const auto [next, status] = std::from_chars(at, end, extent);
    if (status != std::errc{} || extent < 1 || (next != end && *next != ',')) break;
    extents.push_back(extent);
    if (next == end && extents.size() < Shape::kMaxRank) return Shape(extents);
    at = next + 1;
  }
  fail(ExitCode::usage, "{} {}: write one to five sizes with commas, for example 32,32,3", option, text);
}

}  // namespace lockstep
