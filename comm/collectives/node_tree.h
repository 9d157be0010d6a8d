#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "comm/collectives/direct_exchange.h"
#include "comm/collectives/tree_sum.h"

namespace lockstep {

// The lowest levels of the tree of tree_sum.h, among members between which every link is fast, such as the
// GPUs of a machine. All values of a slice come to the member that owns it in one exchange, where they are
// added in the order of the tree. The bits and the volume are those of the levels one after the other, which
// take an exchange each.
//
// A Transport also has
//   add_tree(span<float> destination, const float* others, int count, int position): see elementwise.h

/// Up to so many floats received in all, whole vectors are exchanged, which saves the second exchange.
inline constexpr int64_t kNodeWholeElements = int64_t{1} << 16;

inline bool node_exchanges_whole(const Group& node, int64_t n) {
  return n * (node.size - 1) <= kNodeWholeElements;
}

/// Floats of scratch memory for up to n floats.
inline int64_t node_scratch(const Group& node, int64_t n) {
  return std::max(direct_scratch(n, node.size), std::min(n * (node.size - 1), kNodeWholeElements));
}

/// A member's tree_slice() of data.
template <typename T>
std::span<T> node_slice(const Group& node, int member, std::span<T> data) {
  const Slice slice = tree_slice({member, node.size}, static_cast<int64_t>(data.size()));
  return data.subspan(static_cast<size_t>(slice.offset), static_cast<size_t>(slice.size));
}

/// Replaces `mine` by its sum over the members; send(member): its values on this member of what that one
/// owns.
template <typename Transport, typename Send>
void node_sum(Transport& transport, const Group& node, std::span<float> mine, std::span<float> scratch,
              const Send& send) {
  if (node.size == 1) return;
  exchange_with_all(
      transport, node, [&](int to) { return std::as_bytes(send(to)); },
      [&](int from, int) {
        const auto before = static_cast<size_t>(from < node.rank ? from : from - 1);
        return std::as_writable_bytes(scratch.subspan(before * mine.size(), mine.size()));
      });
  transport.add_tree(mine, scratch.data(), node.size, node.rank);
}

/// Reduce-scatter: this member's node_slice(), which is returned, receives the sum. The rest keeps its
/// values.
template <typename Transport>
std::span<float> node_reduce_scatter(Transport& transport, const Group& node, std::span<float> data,
                                     std::span<float> scratch) {
  const std::span<float> mine = node_slice(node, node.rank, data);
  node_sum(transport, node, mine, scratch, [&](int to) { return node_slice(node, to, data); });
  return mine;
}

/// All-gather: copies every member's node_slice() to all members.
template <typename Transport, typename T>
void node_all_gather(Transport& transport, const Group& node, std::span<T> data) {
  if (node.size == 1) return;
  const std::span<T> mine = node_slice(node, node.rank, data);
  exchange_with_all(
      transport, node, [&](int) { return std::as_bytes(mine); },
      [&](int from, int) { return std::as_writable_bytes(node_slice(node, from, data)); });
}

}  // namespace lockstep
