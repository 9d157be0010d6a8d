#pragma once

#include <cstdint>
#include <span>

namespace lockstep {

/// Replaces `data` by its sum over all ranks, added in one fixed binary tree over ranks: ((r0 + r1) + (r2 +
/// r3)) + ... for every element, whatever the length. The result has the same bits on every rank (of a NaN,
/// the payload may differ). size is a power of two.
///
/// Recursive halving and doubling (Thakur, Rabenseifner and Gropp 2005, "Optimization of collective
/// communication operations in MPICH"), nearest rank first, so that the tree over ranks continues the tree
/// over a rank's micro-batches. Call with distance = 1; scratch is as long as data.
///
/// Transport has
///   kWholeVectorElements: up to this length whole vectors are exchanged, which takes half as many messages
///   exchange(int partner, span<const float> send, span<float> receive): both at once; the partner does the
///   same add(span<float> destination, span<const float> source)
template <typename Transport>
void tree_sum(Transport& transport, int rank, int size, int distance, std::span<float> data,
              std::span<float> scratch) {
  if (distance == size || data.empty()) return;
  const int partner = rank ^ distance;
  if (static_cast<int64_t>(data.size()) <= Transport::kWholeVectorElements) {
    transport.exchange(partner, data, scratch.first(data.size()));
    transport.add(data, scratch.first(data.size()));
    return tree_sum(transport, rank, size, 2 * distance, data, scratch);
  }
  constexpr size_t kAlignment = 64;  // floats: a slice starts where vector loads like it
  // The partner holds the same slice: ranks that differ in this bit agree in the lower ones, which chose it.
  const size_t half = data.size() / 2 / kAlignment * kAlignment;
  const bool keeps_lower = partner > rank;
  const std::span<float> mine = keeps_lower ? data.first(half) : data.subspan(half);
  const std::span<float> theirs = keeps_lower ? data.subspan(half) : data.first(half);
  transport.exchange(partner, theirs, scratch.first(mine.size()));
  transport.add(mine, scratch.first(mine.size()));
  tree_sum(transport, rank, size, 2 * distance, mine, scratch);
  transport.exchange(partner, mine, theirs);
}

}  // namespace lockstep
