#pragma once

#include <cstdint>
#include <span>
#include <utility>

#include "comm/collectives/group.h"

namespace lockstep {

// The sum over ranks in one fixed binary tree, ((r0 + r1) + (r2 + r3)) + ... for every element, whatever the
// length: the result has the same bits on every rank (of a NaN, the payload may differ). Recursive halving
// and doubling (Thakur, Rabenseifner and Gropp 2005, "Optimization of collective communication operations in
// MPICH"), nearest rank first, so that the tree over ranks continues the tree over a rank's micro-batches.
//
// The group's size is a power of two. Functions that go from level to level are called with distance = 1;
// scratch is as long as data.
//
// A Transport has
//   kWholeVectorElements: up to this length whole vectors are exchanged, which takes half as many messages
//   exchange(int to, span<const byte> send, int from, span<byte> receive): both at once; the peer does the
//   same
//   add(span<float> destination, span<const float> source)

/// What a member keeps of `data` at one level, and what it gives to its partner, which holds the same part:
/// members that differ in the bit `distance` agree in the lower ones, which chose it.
struct Halves {
  std::span<float> mine, theirs;
  Halves(const Group& group, int distance, std::span<float> data) {
    const size_t half = data.size() / 2 / kSliceAlignment * kSliceAlignment;
    mine = data.first(half);
    theirs = data.subspan(half);
    if ((group.rank & distance) != 0) std::swap(mine, theirs);
  }
};

inline int partner_of(const Group& group, int distance) { return group.rank_of(group.rank ^ distance); }

/// This member's part of n floats after tree_sum_slice().
inline Slice tree_slice(const Group& group, int64_t n) {
  Slice slice{0, n};
  for (int distance = 1; distance < group.size; distance *= 2) {
    const int64_t half = slice.size / 2 / kSliceAlignment * kSliceAlignment;
    const bool upper = (group.rank & distance) != 0;
    slice = upper ? Slice{slice.offset + half, slice.size - half} : Slice{slice.offset, half};
  }
  return slice;
}

/// One level down: adds the partner's values to the half that this member keeps.
template <typename Transport>
void halve(Transport& transport, const Group& group, int distance, const Halves& halves,
           std::span<float> scratch) {
  const int partner = partner_of(group, distance);
  const std::span<float> received = scratch.first(halves.mine.size());
  transport.exchange(partner, std::as_bytes(halves.theirs), partner, std::as_writable_bytes(received));
  transport.add(halves.mine, received);
}

/// One level up: each half to the partner.
template <typename Transport>
void double_up(Transport& transport, const Group& group, int distance, const Halves& halves) {
  const int partner = partner_of(group, distance);
  transport.exchange(partner, std::as_bytes(halves.mine), partner, std::as_writable_bytes(halves.theirs));
}

/// The sum of this member's tree_slice() into it; the rest of data is undefined.
template <typename Transport>
void tree_sum_slice(Transport& transport, const Group& group, int distance, std::span<float> data,
                    std::span<float> scratch) {
  if (distance == group.size) return;
  const Halves halves(group, distance, data);
  halve(transport, group, distance, halves, scratch);
  tree_sum_slice(transport, group, 2 * distance, halves.mine, scratch);
}

/// Every member's tree_slice() to all members.
template <typename Transport>
void tree_gather(Transport& transport, const Group& group, int distance, std::span<float> data) {
  if (distance == group.size) return;
  const Halves halves(group, distance, data);
  tree_gather(transport, group, 2 * distance, halves.mine);
  double_up(transport, group, distance, halves);
}

/// Replaces `data` by its sum over the group.
template <typename Transport>
void tree_sum(Transport& transport, const Group& group, int distance, std::span<float> data,
              std::span<float> scratch) {
  if (distance == group.size || data.empty()) return;
  if (static_cast<int64_t>(data.size()) <= Transport::kWholeVectorElements) {
    const int partner = partner_of(group, distance);
    const std::span<float> received = scratch.first(data.size());
    transport.exchange(partner, std::as_bytes(data), partner, std::as_writable_bytes(received));
    transport.add(data, received);
    return tree_sum(transport, group, 2 * distance, data, scratch);
  }
  const Halves halves(group, distance, data);
  halve(transport, group, distance, halves, scratch);
  tree_sum(transport, group, 2 * distance, halves.mine, scratch);
  double_up(transport, group, distance, halves);
}

}  // namespace lockstep
