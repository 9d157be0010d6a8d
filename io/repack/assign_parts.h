#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace lockstep {

/// A part of a data set, by its share of the samples.
struct SplitPart {
  std::string name;
  double share = 0;  ///< those of all parts add up to 1
};

/// The part of each sample, at most 256. A sample's part is random, by `seed`, but of each class every part
/// has its share to within one or two samples, and so of all samples. class_of: any integer; null: all
/// samples are of one class. Takes memory for a byte of each sample, and for each class. Throws Error(usage)
/// if a part would be empty.
std::vector<uint8_t> assign_parts(int64_t samples, const std::function<int64_t(int64_t sample)>& class_of,
                                  const std::vector<SplitPart>& parts, uint64_t seed);

}  // namespace lockstep
