#include "io/dataset/order/permutation.h"

#include <bit>
#include <numeric>
#include <vector>

#include "src/core/error.h"

namespace lockstep {

namespace {

constexpr int kRounds = 8;

/// The finalizer of SplitMix64 (Steele, Lea and Flood 2014): every input bit changes every output bit.
uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

/// The smallest h such that 2h bits cover [0, n).
int half_bits_of(uint64_t n) { return n <= 1 ? 0 : (std::bit_width(n - 1) + 1) / 2; }

}  // namespace

Permutation::Permutation(uint64_t key, uint64_t n) : key_(key), n_(n), half_bits_(half_bits_of(n)) {}

uint64_t Permutation::scrambled(uint64_t round, uint64_t half) const {
  return mix(key_ + round * 0x9e3779b97f4a7c15ull + half) >> 32;
}

/// A Feistel network (Luby and Rackoff 1988), which permutes all numbers of 2 half_bits.
uint64_t Permutation::step(uint64_t value) const {
  const uint64_t mask = (uint64_t{1} << half_bits_) - 1;
  uint64_t left = value >> half_bits_, right = value & mask;
  for (uint64_t round = 1; round <= kRounds; ++round) {
    const uint64_t next = left ^ (scrambled(round, right) & mask);
    left = right;
    right = next;
  }
  return left << half_bits_ | right;
}

uint64_t Permutation::operator()(uint64_t position) const {
  INVARIANT(position < n_, "position {} of a permutation of {}", position, n_);
  if (half_bits_ == 0) return position;
  // Walking its cycle until the number is below n (Black and Rogaway 2002, "Ciphers with arbitrary finite
  // domains") permutes [0, n).
  uint64_t value = position;
  do value = step(value);
  while (value >= n_);
  return value;
}

void Permutation::map(uint64_t first, std::span<int64_t> indices) const {
  INVARIANT(first <= n_ && indices.size() <= n_ - first, "positions [{}, {}) of a permutation of {}", first,
            first + indices.size(), n_);
  std::iota(indices.begin(), indices.end(), static_cast<int64_t>(first));
  if (half_bits_ == 0) return;
  // The same walks, a step of each at a time, so that no step waits for the one before.
  std::vector<size_t> walking(indices.size());
  std::iota(walking.begin(), walking.end(), size_t{0});
  while (!walking.empty()) {
    size_t left = 0;
    for (const size_t i : walking) {
      const uint64_t value = step(static_cast<uint64_t>(indices[i]));
      indices[i] = static_cast<int64_t>(value);
      walking[left] = i;
      left += value >= n_ ? 1 : 0;
    }
    walking.resize(left);
  }
}

uint64_t Permutation::position_of(uint64_t index) const {
  INVARIANT(index < n_, "index {} of a permutation of {}", index, n_);
  if (half_bits_ == 0) return index;
  // The same walk backwards, with the rounds inverted in reverse order.
  const uint64_t mask = (uint64_t{1} << half_bits_) - 1;
  uint64_t value = index;
  do {
    uint64_t left = value >> half_bits_, right = value & mask;
    for (uint64_t round = kRounds; round >= 1; --round) {
      const uint64_t before = right ^ (scrambled(round, left) & mask);
      right = left;
      left = before;
    }
    value = left << half_bits_ | right;
  } while (value >= n_);
  return value;
}

}  // namespace lockstep
