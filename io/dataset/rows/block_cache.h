#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace lockstep {

/// An LRU cache of decoded blocks of rows, limited in bytes; it always holds at least one block. A block that
/// several threads request at once is made once. Safe to use from several threads.
class BlockCache {
 public:
  using Block = std::shared_ptr<const std::vector<std::byte>>;

  explicit BlockCache(int64_t capacity_bytes) : capacity_(capacity_bytes) {}
  int64_t capacity() const { return capacity_; }
  /// Returns the block and marks it as the most recently used; null if it is not cached.
  Block find(int64_t key);
  /// Returns the block, calling `make` if it is not cached, or waiting if another thread is making it. An
  /// Error thrown by `make` is rethrown to all waiting threads, and the next caller tries again. Caches the
  /// block and evicts the least recently used ones that no longer fit; evicted blocks stay valid for their
  /// users. make() must not call get().
  Block get(int64_t key, const std::function<Block()>& make);
  /// Whether a thread is currently making the block.
  bool is_being_made(int64_t key) const;
  /// Number of threads that wait for a block made by another one.
  int64_t waiting() const;

 private:
  struct Entry {
    int64_t key;
    Block block;
  };
  struct Making;

  Block find_locked(int64_t key);
  void insert_locked(int64_t key, const Block& block);

  mutable std::mutex mutex_;
  const int64_t capacity_;
  int64_t bytes_ = 0;
  std::list<Entry> recent_;  ///< most recently used first
  std::unordered_map<int64_t, std::list<Entry>::iterator> entries_;
  std::unordered_map<int64_t, std::shared_ptr<Making>> being_made_;
  std::condition_variable made_;
  int64_t waiting_ = 0;
};

}  // namespace lockstep
