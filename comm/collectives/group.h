#pragma once

#include <cstdint>

#include "comm/collectives/communicator.h"

namespace lockstep {

/// Slices of a buffer start at multiples of this many floats, where vector loads and the blocks of the flat
/// layout start.
inline constexpr int64_t kSliceAlignment = 64;

/// Some of the ranks, evenly spaced, as one of them sees them. Members are numbered from 0.
struct Group {
  int rank = 0;  ///< this rank's number among the members
  int size = 1;
  int first = 0;   ///< the rank of member 0
  int stride = 1;  ///< between the ranks of two members
  int rank_of(int member) const { return first + member * stride; }
};

/// A member's part of n floats when each has the same, but for the alignment.
inline Slice even_slice(int member, int size, int64_t n) {
  const auto start = [&](int i) { return i == size ? n : n / kSliceAlignment * i / size * kSliceAlignment; };
  return {start(member), start(member + 1) - start(member)};
}

}  // namespace lockstep
