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

/// The most recently used blocks of decoded rows, up to a number of bytes; always at least one block. A block
/// that several threads want at once is made once. Safe to use from several threads.
class BlockCache {
 public:
  using Block = std::shared_ptr<const std::vector<std::byte>>;

  explicit BlockCache(int64_t capacity_bytes) : capacity_(capacity_bytes) {}
  int64_t capacity() const { return capacity_; }
  /// The block, now the most recently used, or null.
  Block find(int64_t key);
  /// The block, which `make` makes when it is not here; while another thread is making it, waits for that
  /// one's. An Error that `make` throws reaches everyone who waits, and the next caller tries again. Keeps
  /// the block, and forgets the least recently used ones that no longer fit; those in use elsewhere live on
  /// there. make() must not call get().
  Block get(int64_t key, const std::function<Block()>& make);
  /// Whether a thread is making the block at the moment.
  bool is_being_made(int64_t key) const;
  /// Threads that wait for a block that another one is making.
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
