#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "comm/collectives/group.h"

namespace lockstep {

// Every member sends every other member its slice, all in one exchange. The volume is minimal, any number of
// members is possible, and a value sent in two bytes is rounded once. This is the pairwise exchange of
// Thakur, Rabenseifner and Gropp 2005, "Optimization of collective communication operations in MPICH".
//
// A Transport has
//   exchange(span<const Exchange>): all at once
//   add(span<float> destination, span<const float> source)
//   narrow(Wire, span<const float> source, uint16_t* destination): rounds to two bytes
//   add_narrow(Wire, span<float> destination, const uint16_t* source)
//   widen(Wire, span<float> destination, const uint16_t* source)

/// Floats of scratch memory with which `members` sum n floats.
inline int64_t direct_scratch(int64_t n, int members) {
  // The slices of a member by all others: each is at most two alignments longer than its share.
  return n + 2 * kSliceAlignment * members;
}

/// Member i's slice of data.
template <typename T>
std::span<T> slice_of(const Group& group, int member, std::span<T> data) {
  const Slice slice = even_slice(member, group.size, static_cast<int64_t>(data.size()));
  return data.subspan(static_cast<size_t>(slice.offset), static_cast<size_t>(slice.size));
}

/// The scratch memory as two buffers with two bytes per element.
struct NarrowScratch {
  uint16_t* send;
  uint16_t* receive;
  explicit NarrowScratch(std::span<float> scratch)
      : send(reinterpret_cast<uint16_t*>(scratch.data())), receive(send + scratch.size()) {}
};
inline std::span<std::byte> bytes_of(uint16_t* values, size_t count) {
  return std::as_writable_bytes(std::span(values, count));
}

/// One exchange with every other member: calls send(to) and receive(from, k) for the bytes of each, k from 0
/// in the order of the preceding member, the one before that, and so on.
template <typename Transport, typename Send, typename Receive>
void exchange_with_all(Transport& transport, const Group& group, const Send& send, const Receive& receive) {
  std::vector<Exchange> exchanges;
  for (int k = 0; k < group.size - 1; ++k) {
    const int to = (group.rank + k + 1) % group.size;
    const int from = (group.rank - k - 1 + group.size) % group.size;
    exchanges.push_back({group.rank_of(to), send(to), group.rank_of(from), receive(from, k)});
  }
  transport.exchange(exchanges);
}

/// Calls visit(start, length) for what lies in `data` before and after `mine`, a part of it.
template <typename Visit>
void visit_rest(std::span<float> data, std::span<float> mine, const Visit& visit) {
  const auto before = static_cast<size_t>(mine.data() - data.data()), end = before + mine.size();
  visit(0, before);
  visit(end, data.size() - end);
}

/// Reduce-scatter: adds all members' values of this member's slice to its own, first those of the preceding
/// member, then of the one before that, and so on. The other slices keep their values. scratch has
/// direct_scratch() floats and does not overlap data.
template <typename Transport>
void direct_reduce_scatter(Transport& transport, const Group& group, Wire wire, std::span<float> data,
                           std::span<float> scratch) {
  const std::span<float> mine = slice_of(group, group.rank, data);
  const auto others = static_cast<size_t>(group.size - 1);
  if (wire == Wire::fp32) {
    const auto part = [&](size_t k) { return scratch.subspan(k * mine.size(), mine.size()); };
    exchange_with_all(
        transport, group, [&](int to) { return std::as_bytes(slice_of(group, to, data)); },
        [&](int, int k) { return std::as_writable_bytes(part(static_cast<size_t>(k))); });
    for (size_t k = 0; k < others; ++k) transport.add(mine, part(k));
    return;
  }
  const NarrowScratch narrow(scratch);
  visit_rest(data, mine, [&](size_t start, size_t length) {
    transport.narrow(wire, data.subspan(start, length), narrow.send + start);
  });
  const auto part = [&](size_t k) { return narrow.receive + k * mine.size(); };
  exchange_with_all(
      transport, group,
      [&](int to) {
        const std::span<float> theirs = slice_of(group, to, data);
        return bytes_of(narrow.send + (theirs.data() - data.data()), theirs.size());
      },
      [&](int, int k) { return bytes_of(part(static_cast<size_t>(k)), mine.size()); });
  for (size_t k = 0; k < others; ++k) transport.add_narrow(wire, mine, part(k));
}

/// Copies every member's slice to all members, bit by bit.
template <typename Transport, typename T>
void exchange_slices(Transport& transport, const Group& group, std::span<T> data) {
  const std::span<T> mine = slice_of(group, group.rank, data);
  exchange_with_all(
      transport, group, [&](int) { return std::as_bytes(mine); },
      [&](int from, int) { return std::as_writable_bytes(slice_of(group, from, data)); });
}

/// All-gather: copies every member's slice to all members. In two bytes, a member's own slice is rounded like
/// the others.
template <typename Transport>
void direct_all_gather(Transport& transport, const Group& group, Wire wire, std::span<float> data,
                       std::span<float> scratch) {
  if (wire == Wire::fp32) return exchange_slices(transport, group, data);
  const std::span<float> mine = slice_of(group, group.rank, data);
  const NarrowScratch narrow(scratch);
  transport.narrow(wire, mine, narrow.send);
  transport.widen(wire, mine, narrow.send);
  exchange_with_all(
      transport, group, [&](int) { return bytes_of(narrow.send, mine.size()); },
      [&](int from, int) {
        const std::span<float> theirs = slice_of(group, from, data);
        return bytes_of(narrow.receive + (theirs.data() - data.data()), theirs.size());
      });
  visit_rest(data, mine, [&](size_t start, size_t length) {
    transport.widen(wire, data.subspan(start, length), narrow.receive + start);
  });
}

}  // namespace lockstep
