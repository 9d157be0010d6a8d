#include "io/dataset/block_cache.h"

#include <utility>

namespace lockstep {

BlockCache::Block BlockCache::find(int64_t key) {
  const std::scoped_lock lock(mutex_);
  const auto found = entries_.find(key);
  if (found == entries_.end()) return nullptr;
  recent_.splice(recent_.begin(), recent_, found->second);
  return found->second->block;
}

void BlockCache::insert(int64_t key, Block block) {
  const std::scoped_lock lock(mutex_);
  if (entries_.contains(key)) return;
  bytes_ += static_cast<int64_t>(block->size());
  recent_.push_front({key, std::move(block)});
  entries_[key] = recent_.begin();
  while (bytes_ > capacity_ && recent_.size() > 1) {
    bytes_ -= static_cast<int64_t>(recent_.back().block->size());
    entries_.erase(recent_.back().key);
    recent_.pop_back();
  }
}

}  // namespace lockstep
