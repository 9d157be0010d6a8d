#pragma once

#include <cstdint>
#include <span>

#include "comm/collectives/communicator.h"
#include "comm/collectives/direct_exchange.h"
#include "comm/collectives/tree_sum.h"

namespace lockstep {

/// Chooses the algorithm of each collective over one transport. A Transport has what tree_sum.h and
/// direct_exchange.h ask of it, and
///   int rank() const, int size() const
///   void all_reduce(span<float> data): the library's own sum, in place
///   span<float> scratch(int64_t elements): memory that the next call may overwrite
template <typename Transport>
class Collectives {
 public:
  /// ranks_per_node: when not 0, sums are made within each group of so many consecutive ranks first.
  Collectives(Transport& transport, bool reproducible, int ranks_per_node)
      : transport_(transport),
        all_{transport.rank(), transport.size()},
        reproducible_(reproducible),
        ranks_per_node_(ranks_per_node) {}

  Slice slice(int64_t elements) const {
    return reproducible_ ? tree_slice(all_, elements) : even_slice(all_.rank, all_.size, elements);
  }

  void run(const Collective& collective) {
    if (collective.data.empty()) return;
    const std::span<float> scratch = transport_.scratch(static_cast<int64_t>(collective.data.size()));
    switch (collective.kind) {
      case Collective::Kind::sum:
        return sum(collective.data, collective.wire, scratch);
      case Collective::Kind::sum_slice:
        if (reproducible_)
          tree_sum_slice(transport_, all_, 1, collective.data, scratch);
        else
          direct_sum_slice(transport_, all_, collective.wire, collective.data, scratch);
        return;
      case Collective::Kind::gather:
        if (reproducible_)
          tree_gather(transport_, all_, 1, collective.data);
        else
          direct_gather(transport_, all_, collective.wire, collective.data, scratch);
        return;
    }
  }

 private:
  void sum(std::span<float> data, Wire wire, std::span<float> scratch) {
    // The tree over nearest ranks first is a hierarchical sum already: each level halves what travels
    // farther.
    if (reproducible_) return tree_sum(transport_, all_, 1, data, scratch);
    if (ranks_per_node_ == 0 && wire == Wire::fp32) return transport_.all_reduce(data);
    if (ranks_per_node_ == 0) return direct_sum(all_, wire, data, scratch);
    const Group node{all_.rank % ranks_per_node_, ranks_per_node_, all_.rank - all_.rank % ranks_per_node_};
    const Group peers{all_.rank / ranks_per_node_, all_.size / ranks_per_node_, node.rank, ranks_per_node_};
    direct_sum_slice(transport_, node, Wire::fp32, data, scratch);
    const Slice mine = even_slice(node.rank, node.size, static_cast<int64_t>(data.size()));
    const std::span<float> part =
        data.subspan(static_cast<size_t>(mine.offset), static_cast<size_t>(mine.size));
    if (wire == Wire::fp32 && (peers.size & (peers.size - 1)) == 0)
      tree_sum(transport_, peers, 1, part, scratch);
    else
      direct_sum(peers, wire, part, scratch);
    direct_gather(transport_, node, Wire::fp32, data, scratch);
  }

  void direct_sum(const Group& group, Wire wire, std::span<float> data, std::span<float> scratch) {
    direct_sum_slice(transport_, group, wire, data, scratch);
    direct_gather(transport_, group, wire, data, scratch);
  }

  Transport& transport_;
  Group all_;
  bool reproducible_;
  int ranks_per_node_;
};

}  // namespace lockstep
