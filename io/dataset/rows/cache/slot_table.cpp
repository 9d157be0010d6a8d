#include "io/dataset/rows/cache/slot_table.h"

#include <algorithm>
#include <utility>

namespace lockstep {

SlotTable::SlotTable(SharedArrays& arrays, int64_t slots)
    : slots_(arrays.take<Slot>(static_cast<size_t>(slots))),
      buckets_(arrays.take<int32_t>(static_cast<size_t>(2 * slots))),
      heap_(arrays.take<int32_t>(static_cast<size_t>(slots))),
      counts_(arrays.take<Counts>(1)) {}

void SlotTable::initialize() {
  std::ranges::fill(buckets_, -1);
  for (size_t i = 0; i < slots_.size(); ++i) {
    slots_[i] = {.block = -1,
                 .next_use = kNever,
                 .used = 0,
                 .pins = 0,
                 .being_made = 0,
                 .is_ahead = 0,
                 .next_of_bucket = -1,
                 .place = 0};
    put(static_cast<int32_t>(i), i);
  }
}

int32_t& SlotTable::bucket_of(int64_t block) const {
  constexpr uint64_t kSpread = 0x9e3779b97f4a7c15;  // consecutive numbers to different buckets
  return buckets_[static_cast<size_t>((static_cast<uint64_t>(block) * kSpread >> 16) % buckets_.size())];
}

int32_t SlotTable::find(int64_t block) const {
  int32_t slot = bucket_of(block);
  while (slot >= 0 && (*this)[slot].block != block) slot = (*this)[slot].next_of_bucket;
  return slot;
}

void SlotTable::assign(int32_t slot, int64_t block) {
  Slot& changed = (*this)[slot];
  if (changed.block >= 0) {
    int32_t* link = &bucket_of(changed.block);
    while (*link != slot) link = &(*this)[*link].next_of_bucket;
    *link = changed.next_of_bucket;
  }
  clear_ahead(slot);
  changed.block = block;
  changed.next_use = kNever;
  if (block >= 0) {
    changed.next_of_bucket = bucket_of(block);
    bucket_of(block) = slot;
  } else {
    changed.used = 0;
  }
  restore_order(slot);
}

void SlotTable::set_next_use(int32_t slot, int64_t step) {
  (*this)[slot].next_use = step;
  restore_order(slot);
}

void SlotTable::touch(int32_t slot) {
  (*this)[slot].used = ++counts_[0].uses;
  clear_ahead(slot);
  restore_order(slot);
}

void SlotTable::set_ahead(int32_t slot) {
  clear_ahead(slot);
  (*this)[slot].is_ahead = 1;
  ++counts_[0].ahead;
}

void SlotTable::clear_ahead(int32_t slot) { counts_[0].ahead -= std::exchange((*this)[slot].is_ahead, 0); }

bool SlotTable::goes_before(int32_t a, int32_t b) const {
  const Slot &one = (*this)[a], &other = (*this)[b];
  return one.next_use != other.next_use ? one.next_use > other.next_use : one.used < other.used;
}

int32_t SlotTable::dispensable_below(size_t place) const {
  if (place >= heap_.size()) return -1;
  if ((*this)[heap_[place]].pins == 0) return heap_[place];
  const int32_t left = dispensable_below(2 * place + 1), right = dispensable_below(2 * place + 2);
  if (left < 0 || right < 0) return std::max(left, right);
  return goes_before(right, left) ? right : left;
}

void SlotTable::put(int32_t slot, size_t place) {
  heap_[place] = slot;
  (*this)[slot].place = static_cast<int32_t>(place);
}

void SlotTable::restore_order(int32_t slot) {
  auto place = static_cast<size_t>((*this)[slot].place);
  while (place > 0 && goes_before(slot, heap_[(place - 1) / 2])) {
    put(heap_[(place - 1) / 2], place);
    place = (place - 1) / 2;
  }
  for (size_t child = 2 * place + 1; child < heap_.size(); child = 2 * place + 1) {
    if (child + 1 < heap_.size() && goes_before(heap_[child + 1], heap_[child])) ++child;
    if (!goes_before(heap_[child], slot)) break;
    put(heap_[child], place);
    place = child;
  }
  put(slot, place);
}

}  // namespace lockstep
