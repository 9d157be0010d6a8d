#include "io/dataset/order/class_order.h"

#include <algorithm>
#include <cmath>

#include "io/dataset/order/permutation.h"
#include "src/core/error.h"
#include "src/core/rng.h"

namespace lockstep {

ClassOrder::ClassOrder(const std::vector<int64_t>& labels, const std::vector<double>& shares)
    : classes_(shares.size()), size_(static_cast<int64_t>(labels.size())) {
  for (size_t i = 0; i < labels.size(); ++i)
    if (labels[i] >= 0)
      classes_.at(static_cast<size_t>(labels[i])).samples.push_back(static_cast<int64_t>(i));
  double all = 0, before = 0;
  for (size_t c = 0; c < shares.size(); ++c) all += classes_[c].samples.empty() ? 0 : shares[c];
  INVARIANT(all > 0 || size_ == 0, "{} classes without shares", shares.size());
  for (size_t c = 0; c < shares.size(); ++c) {
    classes_[c].first = std::llround(before / all * static_cast<double>(size_));
    before += classes_[c].samples.empty() ? 0 : shares[c];
  }
}

std::vector<int64_t> ClassOrder::counts() const {
  std::vector<int64_t> counts;
  for (size_t c = 0; c < classes_.size(); ++c)
    counts.push_back((c + 1 < classes_.size() ? classes_[c + 1].first : size_) - classes_[c].first);
  return counts;
}

int64_t ClassOrder::sample(uint64_t key, int64_t position) const {
  const Permutation mixed(key, static_cast<uint64_t>(size_));
  const auto number = static_cast<int64_t>(mixed(static_cast<uint64_t>(position)));
  const auto next = std::upper_bound(classes_.begin(), classes_.end(), number,
                                     [](int64_t at, const Class& other) { return at < other.first; });
  const Class& own = *std::prev(next);
  const auto count = static_cast<uint64_t>(own.samples.size());
  const auto draw = static_cast<uint64_t>(number - own.first);
  // Each round of a class draws all of its samples.
  const Random4 words = philox(key, static_cast<uint64_t>(next - classes_.begin()), draw / count);
  const Permutation round(uint64_t{words.word[0]} << 32 | words.word[1], count);
  return own.samples[round(draw % count)];
}

}  // namespace lockstep
