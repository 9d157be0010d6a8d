#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace lockstep {

/// The most recently used blocks of decompressed rows, up to a number of bytes; always at least one block.
/// Safe to use from several threads.
class BlockCache {
 public:
  using Block = std::shared_ptr<const std::vector<std::byte>>;

  explicit BlockCache(int64_t capacity_bytes) : capacity_(capacity_bytes) {}
  /// The block, now the most recently used, or null.
  Block find(int64_t key);
  /// Keeps a block, and forgets the least recently used ones that no longer fit. Those in use elsewhere live
  /// on there.
  void insert(int64_t key, Block block);

 private:
  struct Entry {
    int64_t key;
    Block block;
  };
  std::mutex mutex_;
  int64_t capacity_;
  int64_t bytes_ = 0;
  std::list<Entry> recent_;  ///< most recently used first
  std::unordered_map<int64_t, std::list<Entry>::iterator> entries_;
};

}  // namespace lockstep
