#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace lockstep {

/// The samples of each part of a data set, in a random order.
struct DividedSamples {
  std::vector<size_t> train, validation, test;
};

/// Divides samples by keys that depend on their names and the seed alone: of each class, those with the
/// smallest keys are for validation, the next for testing, and each part has its share of each class to
/// within a sample or two. So if samples are added, nearly all others stay where they are. Each part is in
/// the order of the keys. class_of: one for each name; empty: all are of one class. Throws Error(usage) if a
/// part with a share would be empty.
DividedSamples divide_by_name(std::span<const std::string> names, std::span<const int32_t> class_of,
                              double validation, double test, uint64_t seed);

}  // namespace lockstep
