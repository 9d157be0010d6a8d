#pragma once

#include <cstdint>
#include <span>

#include "comm/collectives/group.h"

namespace lockstep {

// Every member sends every other member its slice, in size - 1 consecutive messages. The volume is minimal,
// any number of members is possible, and a value sent in two bytes is rounded once. This is the pairwise
// exchange of Thakur, Rabenseifner and Gropp 2005, "Optimization of collective communication operations in
// MPICH".
//
// A Transport has
//   exchange(int to, span<const byte> send, int from, span<byte> receive): both at once, skipping empty
//   messages. Ranks are those of the whole world.
//   add(span<float> destination, span<const float> source)
//   narrow(Wire, span<const float> source, uint16_t* destination): rounds to two bytes
//   add_narrow(Wire, span<float> destination, const uint16_t* source)
//   widen(Wire, span<float> destination, const uint16_t* source)

/// Member i's slice of data.
inline std::span<float> slice_of(const Group& group, int member, std::span<float> data) {
  const Slice slice = even_slice(member, group.size, static_cast<int64_t>(data.size()));
  return data.subspan(static_cast<size_t>(slice.offset), static_cast<size_t>(slice.size));
}

/// The scratch memory as two buffers for slices in two bytes per element.
struct NarrowScratch {
  uint16_t* send;
  uint16_t* receive;
  explicit NarrowScratch(std::span<float> scratch)
      : send(reinterpret_cast<uint16_t*>(scratch.data())), receive(send + scratch.size()) {}
};
inline std::span<std::byte> bytes_of(uint16_t* values, size_t count) {
  return std::as_writable_bytes(std::span(values, count));
}

/// Reduce-scatter: adds all members' values of this member's slice to its own, first those of the preceding
/// member, then of the one before that, and so on. The other slices keep their values. scratch is as long as
/// data and does not overlap it.
template <typename Transport>
void direct_reduce_scatter(Transport& transport, const Group& group, Wire wire, std::span<float> data,
                           std::span<float> scratch) {
  const std::span<float> mine = slice_of(group, group.rank, data);
  const NarrowScratch narrow(scratch);
  for (int distance = 1; distance < group.size; ++distance) {
    const int to = (group.rank + distance) % group.size;
    const int from = (group.rank - distance + group.size) % group.size;
    const std::span<float> theirs = slice_of(group, to, data);
    if (wire == Wire::fp32) {
      const std::span<float> received = scratch.first(mine.size());
      transport.exchange(group.rank_of(to), std::as_bytes(theirs), group.rank_of(from),
                         std::as_writable_bytes(received));
      transport.add(mine, received);
    } else {
      transport.narrow(wire, theirs, narrow.send);
      transport.exchange(group.rank_of(to), bytes_of(narrow.send, theirs.size()), group.rank_of(from),
                         bytes_of(narrow.receive, mine.size()));
      transport.add_narrow(wire, mine, narrow.receive);
    }
  }
}

/// All-gather: copies every member's slice to all members. In two bytes, a member's own slice is rounded like
/// the others.
template <typename Transport>
void direct_all_gather(Transport& transport, const Group& group, Wire wire, std::span<float> data,
                       std::span<float> scratch) {
  const std::span<float> mine = slice_of(group, group.rank, data);
  const NarrowScratch narrow(scratch);
  if (wire != Wire::fp32) {
    transport.narrow(wire, mine, narrow.send);
    transport.widen(wire, mine, narrow.send);
  }
  for (int distance = 1; distance < group.size; ++distance) {
    const int to = (group.rank + distance) % group.size;
    const int from = (group.rank - distance + group.size) % group.size;
    const std::span<float> theirs = slice_of(group, from, data);
    if (wire == Wire::fp32) {
      transport.exchange(group.rank_of(to), std::as_bytes(mine), group.rank_of(from),
                         std::as_writable_bytes(theirs));
    } else {
      transport.exchange(group.rank_of(to), bytes_of(narrow.send, mine.size()), group.rank_of(from),
                         bytes_of(narrow.receive, theirs.size()));
      transport.widen(wire, theirs, narrow.receive);
    }
  }
}

}  // namespace lockstep
