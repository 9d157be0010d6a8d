#pragma once

#include <cstdint>
#include <span>

namespace lockstep {

/// A keyed permutation of [0, n): position -> index in O(1) time and memory, and a bijection for every n.
class Permutation {
 public:
  Permutation(uint64_t key, uint64_t n);
  uint64_t operator()(uint64_t position) const;
  /// indices[i] is that of position first + i; several times as fast as one by one.
  void map(uint64_t first, std::span<int64_t> indices) const;
  /// The inverse: the position of `index`.
  uint64_t position_of(uint64_t index) const;

 private:
  uint64_t scrambled(uint64_t round, uint64_t half) const;
  uint64_t step(uint64_t value) const;

  uint64_t key_, n_;
  int half_bits_;
};

}  // namespace lockstep
