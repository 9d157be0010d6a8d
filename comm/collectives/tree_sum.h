#pragma once

#include <cstdint>
#include <span>
#include <utility>

#include "comm/collectives/group.h"

namespace lockstep {

// All-reduce in one fixed binary tree over the ranks, ((r0 + r1) + (r2 + r3)) + ... for every element and any
// length: the result has the same bits on every rank (except for the payload of a NaN). Recursive halving and
// doubling (Thakur, Rabenseifner and Gropp 2005, "Optimization of collective communication operations in
// MPICH"), nearest rank first, so that the tree over ranks continues the tree over a rank's micro-batches.
// The group's size is a power of two. Recursive functions are called with distance = 1; scratch is as long as
// data.
//
// A Transport has
//   kWholeVectorElements: up to this length whole vectors are exchanged, which takes half as many messages
//   exchange(span<const Exchange>): all at once
//   add(span<float> destination, span<const float> source)

/// The half of `data` that a member keeps at one level, and the half that it sends to its partner. Both hold
/// the same part of the buffer: it was chosen by the lower bits of their ranks, which are equal.
template <typename T>
struct Halves {
  std::span<T> mine, theirs;
  Halves(const Group& group, int distance, std::span<T> data) {
    const size_t half = data.size() / 2 / kSliceAlignment * kSliceAlignment;
    mine = data.first(half);
    theirs = data.subspan(half);
    if ((group.rank & distance) != 0) std::swap(mine, theirs);
  }
};

/// With the partner at this distance, which does the same.
template <typename Transport, typename T>
void exchange_with_partner(Transport& transport, const Group& group, int distance, std::span<T> send,
                           std::span<T> receive) {
  const int partner = group.rank_of(group.rank ^ distance);
  const Exchange exchange{partner, std::as_bytes(send), partner, std::as_writable_bytes(receive)};
  transport.exchange(std::span(&exchange, 1));
}

/// This member's slice of n elements after tree_reduce_scatter().
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
void halve(Transport& transport, const Group& group, int distance, const Halves<float>& halves,
           std::span<float> scratch) {
  const std::span<float> received = scratch.first(halves.mine.size());
  exchange_with_partner(transport, group, distance, halves.theirs, received);
  transport.add(halves.mine, received);
}

/// One level up: exchanges the halves with the partner.
template <typename Transport, typename T>
void double_up(Transport& transport, const Group& group, int distance, const Halves<T>& halves) {
  exchange_with_partner(transport, group, distance, halves.mine, halves.theirs);
}

/// Reduce-scatter: this member's tree_slice() receives the sum; the rest of data is undefined.
template <typename Transport>
void tree_reduce_scatter(Transport& transport, const Group& group, int distance, std::span<float> data,
                         std::span<float> scratch) {
  if (distance == group.size) return;
  const Halves halves(group, distance, data);
  halve(transport, group, distance, halves, scratch);
  tree_reduce_scatter(transport, group, 2 * distance, halves.mine, scratch);
}

/// All-gather: copies every member's tree_slice() to all members.
template <typename Transport, typename T>
void tree_all_gather(Transport& transport, const Group& group, int distance, std::span<T> data) {
  if (distance == group.size) return;
  const Halves halves(group, distance, data);
  tree_all_gather(transport, group, 2 * distance, halves.mine);
  double_up(transport, group, distance, halves);
}

/// Replaces `data` by its sum over the group.
template <typename Transport>
void tree_all_reduce(Transport& transport, const Group& group, int distance, std::span<float> data,
                     std::span<float> scratch) {
  if (distance == group.size || data.empty()) return;
  if (static_cast<int64_t>(data.size()) <= Transport::kWholeVectorElements) {
    const std::span<float> received = scratch.first(data.size());
    exchange_with_partner(transport, group, distance, data, received);
    transport.add(data, received);
    return tree_all_reduce(transport, group, 2 * distance, data, scratch);
  }
  const Halves halves(group, distance, data);
  halve(transport, group, distance, halves, scratch);
  tree_all_reduce(transport, group, 2 * distance, halves.mine, scratch);
  double_up(transport, group, distance, halves);
}

}  // namespace lockstep
