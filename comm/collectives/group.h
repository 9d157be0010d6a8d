#pragma once

#include <cstdint>

#include "comm/collectives/communicator.h"

namespace lockstep {

/// Slices of a buffer start at multiples of this many floats, so that vector loads and the blocks of the flat
/// layout are aligned.
inline constexpr int64_t kSliceAlignment = 64;

/// A group of evenly spaced ranks, as seen by one of them. Members are numbered from 0.
struct Group {
  int rank = 0;  ///< this rank's number among the members
  int size = 1;
  int first = 0;   ///< the rank of member 0
  int stride = 1;  ///< between the ranks of two members
  int rank_of(int member) const { return first + member * stride; }
};

/// A member's part of n floats; all parts are equal, up to alignment.
inline Slice even_slice(int member, int size, int64_t n) {
  const auto start = [&](int i) { return i == size ? n : n / kSliceAlignment * i / size * kSliceAlignment; };
  return {start(member), start(member + 1) - start(member)};
}

}  // namespace lockstep
