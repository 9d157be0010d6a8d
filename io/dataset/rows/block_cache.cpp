#include "io/dataset/rows/block_cache.h"

#include <optional>
#include <string>
#include <utility>

#include "src/core/error.h"

namespace lockstep {

/// A block that one thread is making. The result is a block, a failure, or neither: if making it ended with
/// another exception than Error, such as a lack of memory, the waiting threads make it themselves.
struct BlockCache::Making {
  /// Each waiting thread throws its own copy of it.
  struct Failure {
    ExitCode code;
    std::string text;
  };
  bool is_over = false;
  Block block;
  std::optional<Failure> failure;
};

BlockCache::Block BlockCache::find(int64_t key) {
  const std::scoped_lock lock(mutex_);
  return find_locked(key);
}

BlockCache::Block BlockCache::get(int64_t key, const std::function<Block()>& make) {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (Block block = find_locked(key)) return block;
    const auto found = being_made_.find(key);
    if (found == being_made_.end()) break;
    const std::shared_ptr<const Making> making = found->second;
    ++waiting_;
    made_.wait(lock, [&] { return making->is_over; });
    --waiting_;
    if (making->block) return making->block;
    if (making->failure) throw Error(making->failure->code, making->failure->text);
  }

  const auto making = std::make_shared<Making>();
  being_made_[key] = making;
  lock.unlock();
  const auto end = [&] {
    lock.lock();
    if (making->block) insert_locked(key, making->block);
    making->is_over = true;
    being_made_.erase(key);
    lock.unlock();
    made_.notify_all();
  };
  try {
    making->block = make();
  } catch (const Error& e) {
    making->failure = {e.code(), e.what()};
    end();
    throw;
  } catch (...) {
    end();
    throw;
  }
  end();
  return making->block;
}

bool BlockCache::is_being_made(int64_t key) const {
  const std::scoped_lock lock(mutex_);
  return being_made_.contains(key);
}

int64_t BlockCache::waiting() const {
  const std::scoped_lock lock(mutex_);
  return waiting_;
}

BlockCache::Block BlockCache::find_locked(int64_t key) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return nullptr;
  recent_.splice(recent_.begin(), recent_, found->second);
  return found->second->block;
}

void BlockCache::insert_locked(int64_t key, const Block& block) {
  bytes_ += static_cast<int64_t>(block->size());
  recent_.push_front({key, block});
  entries_[key] = recent_.begin();
  while (bytes_ > capacity_ && recent_.size() > 1) {
    bytes_ -= static_cast<int64_t>(recent_.back().block->size());
    entries_.erase(recent_.back().key);
    recent_.pop_back();
  }
}

}  // namespace lockstep
