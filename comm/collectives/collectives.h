#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "comm/collectives/communicator.h"
#include "comm/collectives/direct_exchange.h"
#include "comm/collectives/node_tree.h"
#include "comm/collectives/tree_sum.h"

namespace lockstep {

/// Chooses the algorithm of each collective over one transport. A Transport has the members that tree_sum.h,
/// node_tree.h and direct_exchange.h require, and
///   int rank() const, int size() const
///   void all_reduce(span<float> data): the library's own all-reduce, in place
///   span<float> scratch(int64_t elements): memory that the next call may overwrite
template <typename Transport>
class Collectives {
 public:
  /// ranks_per_node: if not 0, all-reduces are hierarchical: first within each group of this many consecutive
  /// ranks. With `reproducible`, where every sum is, the links within such a group are all used at once
  /// (node_tree.h); the group is a power of two of at most kMaxTreeLeaves.
  Collectives(Transport& transport, bool reproducible, int ranks_per_node)
      : transport_(transport),
        all_{transport.rank(), transport.size()},
        node_{all_.rank % std::max(1, ranks_per_node), std::max(1, ranks_per_node),
              all_.rank - all_.rank % std::max(1, ranks_per_node)},
        reproducible_(reproducible),
        ranks_per_node_(ranks_per_node) {}

  /// Floats of scratch memory for a collective on `elements` floats.
  int64_t scratch_size(int64_t elements) const {
    return reproducible_ ? node_scratch(node_, elements) : direct_scratch(elements, all_.size);
  }

  Slice slice_of(int rank, int64_t elements) const {
    return reproducible_ ? tree_slice({rank, all_.size}, elements) : even_slice(rank, all_.size, elements);
  }

  void run(const Collective& collective) {
    if (collective.data.empty()) return;
    const std::span<float> scratch =
        transport_.scratch(scratch_size(static_cast<int64_t>(collective.data.size())));
    switch (collective.kind) {
      case Collective::Kind::all_reduce:
        return all_reduce(collective.data, collective.wire, scratch);
      case Collective::Kind::reduce_scatter:
        if (reproducible_)
          tree_reduce_scatter(transport_, all_, node_.size,
                              node_reduce_scatter(transport_, node_, collective.data, scratch), scratch);
        else
          direct_reduce_scatter(transport_, all_, collective.wire, collective.data, scratch);
        return;
      case Collective::Kind::all_gather:
        if (collective.two_bytes) return all_gather(values_of_two_bytes(collective.data));
        return all_gather(collective.data);
    }
  }

 private:
  void all_reduce(std::span<float> data, Wire wire, std::span<float> scratch) {
    if (reproducible_) return all_reduce_tree(data, scratch);
    if (ranks_per_node_ == 0 && wire == Wire::fp32) return transport_.all_reduce(data);
    if (ranks_per_node_ == 0) return direct_all_reduce(all_, wire, data, scratch);
    const Group peers{all_.rank / ranks_per_node_, all_.size / ranks_per_node_, node_.rank, ranks_per_node_};
    direct_reduce_scatter(transport_, node_, Wire::fp32, data, scratch);
    const Slice mine = even_slice(node_.rank, node_.size, static_cast<int64_t>(data.size()));
    const std::span<float> part =
        data.subspan(static_cast<size_t>(mine.offset), static_cast<size_t>(mine.size));
    if (wire == Wire::fp32 && (peers.size & (peers.size - 1)) == 0)
      tree_all_reduce(transport_, peers, 1, part, scratch);
    else
      direct_all_reduce(peers, wire, part, scratch);
    direct_all_gather(transport_, node_, Wire::fp32, data, scratch);
  }

  /// The tree pairs nearest ranks first, so it is hierarchical: each level halves the data that travels
  /// farther.
  void all_reduce_tree(std::span<float> data, std::span<float> scratch) {
    if (node_exchanges_whole(node_, static_cast<int64_t>(data.size()))) {
      node_sum(transport_, node_, data, scratch, [&](int) { return data; });
      return tree_all_reduce(transport_, all_, node_.size, data, scratch);
    }
    const std::span<float> mine = node_reduce_scatter(transport_, node_, data, scratch);
    tree_all_reduce(transport_, all_, node_.size, mine, scratch);
    node_all_gather(transport_, node_, data);
  }

  template <typename T>
  void all_gather(std::span<T> data) {
    if (!reproducible_) return exchange_slices(transport_, all_, data);
    tree_all_gather(transport_, all_, node_.size, node_slice(node_, node_.rank, data));
    node_all_gather(transport_, node_, data);
  }

  static std::span<uint16_t> values_of_two_bytes(std::span<float> data) {
    return {reinterpret_cast<uint16_t*>(data.data()), 2 * data.size()};
  }

  void direct_all_reduce(const Group& group, Wire wire, std::span<float> data, std::span<float> scratch) {
    direct_reduce_scatter(transport_, group, wire, data, scratch);
    direct_all_gather(transport_, group, wire, data, scratch);
  }

  Transport& transport_;
  Group all_, node_;
  bool reproducible_;
  int ranks_per_node_;
};

}  // namespace lockstep
