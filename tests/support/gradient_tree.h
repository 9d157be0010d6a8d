#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "src/core/rng.h"

namespace lockstep {

/// A made-up gradient of one micro-batch of the global batch: magnitudes from 2^-12 to 2^12 and both signs,
/// so that another order of addition gives other bits.
inline std::vector<float> made_up_gradient(int64_t global_micro_batch, size_t elements) {
  RandomStream stream(11, static_cast<uint64_t>(global_micro_batch));
  std::vector<float> values(elements);
  for (float& value : values)
    value =
        std::ldexp(static_cast<float>(stream.next_normal()), static_cast<int>(stream.next_below(25)) - 12);
  return values;
}

/// Whether two vectors are equal to the bit; unlike ==, tells zeros of both signs and NaNs apart.
inline bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0);
}

/// The sum as the documentation of GradientReducer defines it, written for reading: the odd part of the count
/// is summed left to right, and the results pairwise.
inline std::vector<float> oracle_tree_sum(std::vector<std::vector<float>> leaves) {
  const auto add = [](std::vector<float> left, const std::vector<float>& right) {
    for (size_t i = 0; i < left.size(); ++i) left[i] += right[i];
    return left;
  };
  size_t odd = leaves.size();
  while (odd % 2 == 0) odd /= 2;
  std::vector<std::vector<float>> nodes;
  for (size_t i = 0; i < leaves.size(); i += odd) {
    nodes.push_back(leaves[i]);
    for (size_t j = 1; j < odd; ++j) nodes.back() = add(nodes.back(), leaves[i + j]);
  }
  while (nodes.size() > 1) {
    std::vector<std::vector<float>> parents;
    for (size_t i = 0; i < nodes.size(); i += 2) parents.push_back(add(nodes[i], nodes[i + 1]));
    nodes = parents;
  }
  return nodes[0];
}

}  // namespace lockstep
