#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

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

/// What one rank is sent, and what is received from one, which may be another. Ranks are those of the whole
/// world. An empty message is skipped.
struct Exchange {
  int to = 0;
  std::span<const std::byte> send;
  int from = 0;
  std::span<std::byte> receive;
};

/// A member's part of n floats; all parts are equal, up to alignment.
inline Slice even_slice(int member, int size, int64_t n) {
  const auto start = [&](int i) { return i == size ? n : n / kSliceAlignment * i / size * kSliceAlignment; };
  return {start(member), start(member + 1) - start(member)};
}

}  // namespace lockstep
