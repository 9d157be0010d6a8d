#pragma once

#include <cstdint>
#include <vector>

namespace lockstep {

/// An order in which classes have given shares of the samples of an epoch, in any order. The samples of a
/// class occur equally often, but for one: some of a class that has less than its share more than once, some
/// of one that has more not in this epoch.
class ClassOrder {
 public:
  /// labels: of each sample; negative: it never occurs. shares: of each class, relative to their sum; that of
  /// a class without samples does not count. An epoch has as many samples as there are labels.
  ClassOrder(const std::vector<int64_t>& labels, const std::vector<double>& shares);

  /// key: random bits of the epoch.
  int64_t sample(uint64_t key, int64_t position) const;
  /// How often samples of each class occur in an epoch.
  std::vector<int64_t> counts() const;

 private:
  struct Class {
    std::vector<int64_t> samples;
    int64_t first = 0;  ///< of the numbers below the size of an epoch that belong to it
  };
  std::vector<Class> classes_;
  int64_t size_;
};

}  // namespace lockstep
