#include "io/dataset/rows/block_cache.h"

#include <sys/mman.h>

#include <algorithm>

#include "src/core/error.h"

namespace lockstep {

/// What the ranks share beside the table and the blocks; guarded by the lock.
///
/// The time of an order is the number of steps that all ranks have read. Ranks begin and end their orders one
/// after another, so each numbers them (its era), and time passes while all ranks are in the same one.
struct BlockCache::Shared {
  MachineLock lock;
  int64_t waiting, made;
  int64_t era;       ///< the order that is followed
  int64_t now;       ///< steps of it that all ranks have read
  bool looks_ahead;  ///< whether the next uses are known; they are once a block has to go
};

struct BlockCache::OfRank {
  int64_t era;   ///< number of orders begun and ended so far
  int64_t read;  ///< steps of the current one
};

/// An order that this rank follows.
class BlockCache::Following final : public Expectation {
 public:
  Following(BlockCache& cache, ReadingOrder order, std::function<int64_t(int64_t)> block_of, MakeAny make)
      : cache_(cache), order_(std::move(order)), block_of_(std::move(block_of)), make_(std::move(make)) {
    const Locked lock(cache_.shared_->lock);
    cache_.following_.push_back(this);
    cache_.start_era();
  }
  ~Following() override {
    if (!cache_.shared_->lock.acquire()) return;
    const Locked lock(cache_.shared_->lock, std::adopt_lock);
    std::erase(cache_.following_, this);
    cache_.start_era();
  }
  Following(const Following&) = delete;
  Following& operator=(const Following&) = delete;

  void has_read(int64_t steps) override {
    // Whoever requests a block next throws.
    if (!cache_.shared_->lock.acquire()) return;
    const Locked lock(cache_.shared_->lock, std::adopt_lock);
    read_ = std::max(read_, steps);
    if (cache_.following_.back() != this) return;
    cache_.of_ranks_[static_cast<size_t>(cache_.rank_)].read = read_;
    cache_.advance();
  }

  bool read_ahead() override {
    if (!cache_.shared_->lock.acquire()) return false;
    Locked lock(cache_.shared_->lock, std::adopt_lock);
    try {
      return cache_.make_ahead(lock);
    } catch (const Error&) {  // another rank died
      return false;
    }
  }

 private:
  friend class BlockCache;

  BlockCache& cache_;
  ReadingOrder order_;
  std::function<int64_t(int64_t)> block_of_;
  MakeAny make_;
  int64_t read_ = 0;
};

BlockCache::Block::~Block() {
  if (cache_ != nullptr) cache_->release(slot_);
}

void BlockCache::admit(int64_t blocks, size_t block_bytes) {
  constexpr size_t kAlignment = 16;  // of any number
  block_bytes_ = std::max(block_bytes_, (block_bytes + kAlignment - 1) / kAlignment * kAlignment);
  admitted_ += blocks;
}

void BlockCache::allocate(const MachineMemory* machine) {
  if (admitted_ == 0) return;
  const auto take = [&](int ranks) {
    ranks_ = ranks;
    const int64_t fitting = capacity_ / static_cast<int64_t>(block_bytes_) * ranks;
    slots_ = std::min({std::max<int64_t>(fitting, (readers_ + 1) * ranks), admitted_, int64_t{1} << 30});
    divide(nullptr);
  };
  if (machine != nullptr) {
    take(machine->ranks);
    memory_ = machine->allocate(bytes_);
  }
  const bool is_shared = memory_ != nullptr;
  if (is_shared) {
    rank_ = machine->rank;
    of_world_ = machine->of_world;
  } else {
    take(1);
    void* const mapped =
        ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED)
      fail(ExitCode::memory, "there is no memory for a cache of {:.0f} MiB. Lower data.memory_budget.",
           static_cast<double>(bytes_) / 0x1p20);
    memory_ = {static_cast<std::byte*>(mapped),
               [bytes = bytes_](std::byte* memory) { ::munmap(memory, bytes); }};
  }
  if (of_world_.empty())
    for (int rank = 0; rank < ranks_; ++rank) of_world_.push_back(rank);
  divide(memory_.get());
  if (rank_ == 0) {
    shared_->lock.initialize();
    table_->initialize();
  }
  if (machine != nullptr) machine->wait_for_all();
}

/// Places everything in the memory; null: only finds out how much it takes.
void BlockCache::divide(std::byte* memory) {
  SharedArrays arrays(memory);
  const std::span<Shared> shared = arrays.take<Shared>(1);
  shared_ = shared.data();
  of_ranks_ = arrays.take<OfRank>(static_cast<size_t>(ranks_));
  table_.emplace(arrays, slots_);
  uses_.emplace(arrays);
  blocks_ = arrays.take_bytes(static_cast<size_t>(slots_) * block_bytes_);
  bytes_ = arrays.bytes();
}

BlockCache::Block BlockCache::find(int64_t key) {
  const Locked lock(shared_->lock);
  const int32_t slot = table_->find(key);
  if (slot < 0 || (*table_)[slot].being_made) return {};
  ++(*table_)[slot].pins;
  table_->touch(slot);
  return {this, slot};
}

BlockCache::Block BlockCache::get(int64_t key, const Make& make) {
  Locked lock(shared_->lock);
  const int32_t slot = wait_for_slot(lock, key);
  if ((*table_)[slot].block != key) return make_in(lock, slot, key, make, /*ahead=*/false);
  table_->touch(slot);
  return {this, slot};
}

/// Makes a block in a slot with a pin for it, and releases the lock.
BlockCache::Block BlockCache::make_in(Locked& lock, int32_t slot, int64_t key, const Make& make, bool ahead) {
  SlotTable::Slot& found = (*table_)[slot];
  table_->assign(slot, key);
  if (ahead) table_->set_ahead(slot);
  found.being_made = true;
  Block block(this, slot);
  lock.unlock();
  const auto end = [&](bool is_made) {
    lock.lock();
    found.being_made = false;
    if (is_made) {
      ++shared_->made;
      table_->touch(slot);
      if (ahead) table_->set_ahead(slot);
      if (shared_->looks_ahead) table_->set_next_use(slot, uses_->next_use(key));
    } else {
      table_->assign(slot, -1);
    }
    if (shared_->waiting > 0) shared_->lock.wake_all();
    lock.unlock();
  };
  try {
    make(memory_of(slot));
  } catch (...) {
    end(false);
    throw;
  }
  end(true);
  return block;
}

/// A slot with a pin for the caller: the block's, once it is there, or else one in which to make it.
int32_t BlockCache::wait_for_slot(Locked& lock, int64_t key) {
  for (;;) {
    int32_t slot = table_->find(key);
    if (slot >= 0) {
      SlotTable::Slot& found = (*table_)[slot];
      ++found.pins;  // so that the block is not given up before this thread has seen it
      while (found.block == key && found.being_made) wait(lock);
      if (found.block == key) return slot;
      --found.pins;
      if (shared_->waiting > 0) shared_->lock.wake_all();
      continue;
    }
    slot = table_->find_dispensable();
    if (slot >= 0 && (*table_)[slot].block >= 0) {
      look_ahead();
      slot = table_->find_dispensable();
    }
    if (slot >= 0) {
      ++(*table_)[slot].pins;
      return slot;
    }
    wait(lock);
  }
}

/// May return before anything has changed.
void BlockCache::wait(Locked& lock) {
  if (make_ahead(lock)) return;
  ++shared_->waiting;
  shared_->lock.wait();
  --shared_->waiting;
}

/// Makes the first block in the order that is missing, in place of one that is used later. False if there is
/// none. Releases the lock meanwhile.
bool BlockCache::make_ahead(Locked& lock) {
  const OfRank& mine = of_ranks_[static_cast<size_t>(rank_)];
  if (!makes_ahead_ || following_.empty() || !following_.back()->make_ || mine.era != shared_->era ||
      table_->ahead() >= readers_ * ranks_)
    return false;
  int32_t slot = table_->find_dispensable();
  if (slot < 0 || (slots_ == admitted_ && (*table_)[slot].block >= 0)) return false;
  look_ahead();
  const auto use = uses_->first([&](int64_t block) { return table_->find(block) < 0; });
  slot = table_->find_dispensable();
  if (!use || use->step >= following_.back()->order_.certain_steps) return false;
  if ((*table_)[slot].block >= 0 && (*table_)[slot].next_use <= use->step) return false;
  ++(*table_)[slot].pins;
  // A copy: an order may end meanwhile.
  const auto make = [&, make_any = following_.back()->make_](std::span<std::byte> block) {
    make_any(use->block, block);
  };
  try {
    make_in(lock, slot, use->block, make, /*ahead=*/true);
    lock.lock();
  } catch (...) {
    // Whoever needs the block will make it, and report what is wrong with it.
    lock.lock();
    makes_ahead_ = false;
  }
  return true;
}

void BlockCache::release(int32_t slot) noexcept {
  if (!shared_->lock.acquire()) return;
  --(*table_)[slot].pins;
  if (shared_->waiting > 0) shared_->lock.wake_all();
  shared_->lock.unlock();
}

std::unique_ptr<Expectation> BlockCache::expect(ReadingOrder order,
                                                std::function<int64_t(int64_t sample)> block_of,
                                                MakeAny make) {
  if (slots_ == admitted_ && !make) return nullptr;
  return std::make_unique<Following>(*this, std::move(order), std::move(block_of), std::move(make));
}

/// This rank has begun or ended an order.
void BlockCache::start_era() {
  OfRank& mine = of_ranks_[static_cast<size_t>(rank_)];
  ++mine.era;
  mine.read = following_.empty() ? 0 : following_.back()->read_;
  if (std::ranges::any_of(of_ranks_, [&](const OfRank& other) { return other.era != mine.era; })) return;
  shared_->era = mine.era;
  shared_->now = std::ranges::min(of_ranks_, {}, &OfRank::read).read;
  if (!std::exchange(shared_->looks_ahead, false)) return;
  for (int32_t slot = 0; slot < static_cast<int32_t>(slots_); ++slot) {
    table_->set_next_use(slot, SlotTable::kNever);
    table_->clear_ahead(slot);
  }
}

/// Some rank has read a step.
void BlockCache::advance() {
  if (of_ranks_[static_cast<size_t>(rank_)].era != shared_->era) return;
  const int64_t now = std::ranges::min(of_ranks_, {}, &OfRank::read).read;
  if (std::ranges::any_of(of_ranks_, [&](const OfRank& rank) { return rank.era != shared_->era; }) ||
      now <= shared_->now)
    return;
  shared_->now = now;
  if (!shared_->looks_ahead) return;
  const Following& followed = *following_.back();
  uses_->advance(now, followed.order_.steps, uses_of_step(followed), uses_of(followed), [&](int64_t block) {
    if (const int32_t slot = table_->find(block); slot >= 0)
      table_->set_next_use(slot, uses_->next_use(block));
  });
}

/// Finds the next uses of the blocks, if that has not been done and an order is known.
void BlockCache::look_ahead() {
  if (shared_->looks_ahead || following_.empty() || of_ranks_[static_cast<size_t>(rank_)].era != shared_->era)
    return;
  shared_->looks_ahead = true;
  const Following& followed = *following_.back();
  uses_->start(shared_->now);
  uses_->advance(shared_->now, followed.order_.steps, uses_of_step(followed), uses_of(followed),
                 [](int64_t) {});
  for (int32_t slot = 0; slot < static_cast<int32_t>(slots_); ++slot)
    if (const int64_t block = (*table_)[slot].block; block >= 0)
      table_->set_next_use(slot, uses_->next_use(block));
}

int64_t BlockCache::uses_of_step(const Following& followed) const {
  return ranks_ * followed.order_.rows * followed.order_.run;
}

NextUses::Step BlockCache::uses_of(const Following& followed) const {
  return [this, &followed](int64_t step, const std::function<void(int64_t)>& use) {
    const ReadingOrder& order = followed.order_;
    const int own = of_world_[static_cast<size_t>(rank_)];
    for (const int other : of_world_) {
      const int64_t first = order.first_slot + (other - own) * order.rows;
      for (int64_t slot = first; slot < first + order.rows; ++slot) {
        const int64_t sample = order.sample(step, slot);
        if (sample < 0) continue;
        const int64_t first_block = followed.block_of_(sample),
                      last_block = followed.block_of_(sample + order.run - 1);
        for (int64_t block = first_block; block >= 0 && block <= last_block; ++block) use(block);
      }
    }
  };
}

bool BlockCache::is_being_made(int64_t key) {
  const Locked lock(shared_->lock);
  const int32_t slot = table_->find(key);
  return slot >= 0 && (*table_)[slot].being_made;
}

int64_t BlockCache::waiting() {
  const Locked lock(shared_->lock);
  return shared_->waiting;
}

int64_t BlockCache::made() {
  if (shared_ == nullptr) return 0;
  const Locked lock(shared_->lock);
  return shared_->made;
}

}  // namespace lockstep
