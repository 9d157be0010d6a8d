#include "launch/report/confusion.h"

namespace lockstep {

namespace {

std::optional<double> part(int64_t some, int64_t all) {
  if (all == 0) return std::nullopt;
  return static_cast<double>(some) / static_cast<double>(all);
}

}  // namespace

int64_t Confusion::samples(int64_t c) const {
  int64_t sum = 0;
  for (int64_t p = 0; p < classes_; ++p) sum += count(c, p);
  return sum;
}

int64_t Confusion::predictions(int64_t c) const {
  int64_t sum = 0;
  for (int64_t t = 0; t < classes_; ++t) sum += count(t, c);
  return sum;
}

std::optional<double> Confusion::precision(int64_t c) const { return part(count(c, c), predictions(c)); }

std::optional<double> Confusion::recall(int64_t c) const { return part(count(c, c), samples(c)); }

}  // namespace lockstep
