#include "io/dataset/rows/joined_rows.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <utility>

namespace lockstep {

void JoinedRows::append(std::unique_ptr<RowSource> source, int64_t rows, int64_t skipped) {
  const int64_t first = parts_.empty() ? 0 : parts_.back().end;
  parts_.push_back({std::move(source), first, first + rows, skipped});
}

void JoinedRows::read(std::span<RowRequest> wanted) const {
  sort_by_row(wanted);
  auto part = parts_.begin();
  for (size_t begin = 0, end; begin < wanted.size(); begin = end) {
    part = std::upper_bound(part, parts_.end(), wanted[begin].row,
                            [](int64_t row, const Part& other) { return row < other.end; });
    for (end = begin; end < wanted.size() && wanted[end].row < part->end; ++end)
      wanted[end].row += part->skipped - part->first;
    part->source->read(wanted.subspan(begin, end - begin));
  }
}

double JoinedRows::decoded_bytes_per_row() const {
  double most = 0;
  for (const Part& part : parts_) most = std::max(most, part.source->decoded_bytes_per_row());
  return most;
}

std::string JoinedRows::route() const {
  std::set<std::string> routes;
  for (const Part& part : parts_) routes.insert(part.source->route());
  return fmt::format("{}", fmt::join(routes, ", "));
}

}  // namespace lockstep
