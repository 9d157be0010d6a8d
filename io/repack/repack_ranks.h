#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

namespace lockstep {

/// The processes that repack a file together. Rank 0 owns the output; the others read and encode for it.
struct RepackRanks {
  int rank = 0, size = 1;
  /// Sends a message of any length; may wait until it is received. Messages between two ranks arrive in
  /// order.
  std::function<void(std::span<const std::byte> message, int to)> send = nullptr;
  /// Waits for the next message of a rank.
  std::function<std::vector<std::byte>(int from)> receive = nullptr;
};

}  // namespace lockstep
