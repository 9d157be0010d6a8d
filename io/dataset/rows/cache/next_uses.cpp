#include "io/dataset/rows/cache/next_uses.h"

#include <algorithm>

namespace lockstep {

NextUses::NextUses(SharedArrays& arrays)
    : window_(arrays.take<Window>(1)),
      uses_(arrays.take<Use>(static_cast<size_t>(kUses))),
      buckets_(arrays.take<int32_t>(static_cast<size_t>(kUses))) {}

void NextUses::start(int64_t step) {
  window_[0] = {0, 0, step};
  std::ranges::fill(buckets_, -1);
}

int32_t& NextUses::bucket_of(int64_t block) const {
  constexpr uint64_t kSpread = 0x9e3779b97f4a7c15;  // consecutive numbers to different buckets
  return buckets_[static_cast<size_t>((static_cast<uint64_t>(block) * kSpread >> 16) % buckets_.size())];
}

int32_t NextUses::first_of(int64_t block) const {
  int32_t use = bucket_of(block);
  while (use >= 0 && at(use).block != block) use = at(use).next_of_bucket;
  return use;
}

int64_t NextUses::next_use(int64_t block) const {
  const int32_t first = first_of(block);
  return first < 0 ? kUnknown : at(first).step;
}

std::optional<NextUses::Found> NextUses::first(const std::function<bool(int64_t)>& is_wanted) const {
  constexpr int64_t kLooks = int64_t{1} << 13;
  const Window& window = window_[0];
  for (int64_t number = window.begin; number < std::min(window.end, window.begin + kLooks); ++number) {
    const Use& use = at(static_cast<int32_t>(number % kUses));
    if (is_wanted(use.block)) return Found{use.block, use.step};
  }
  return std::nullopt;
}

bool NextUses::append(int64_t block, int64_t step) {
  const int32_t first = first_of(block);
  if (first >= 0 && at(at(first).last).step == step) return false;
  const auto use = static_cast<int32_t>(window_[0].end++ % kUses);
  at(use) = {.block = block, .step = step, .later = -1, .last = use, .next_of_bucket = -1};
  if (first >= 0) {
    at(at(first).last).later = use;
    at(first).last = use;
    return false;
  }
  at(use).next_of_bucket = bucket_of(block);
  bucket_of(block) = use;
  return true;
}

void NextUses::remove_first() {
  // The oldest use is the first of its block.
  const auto use = static_cast<int32_t>(window_[0].begin++ % kUses);
  int32_t* link = &bucket_of(at(use).block);
  while (*link != use) link = &at(*link).next_of_bucket;
  const int32_t later = at(use).later;
  if (later < 0) {
    *link = at(use).next_of_bucket;
    return;
  }
  at(later).last = at(use).last;
  at(later).next_of_bucket = at(use).next_of_bucket;
  *link = later;
}

void NextUses::advance(int64_t step, int64_t end, int64_t uses_of_step, const Step& uses,
                       const std::function<void(int64_t block)>& changed) {
  Window& window = window_[0];
  std::vector<int64_t> blocks;
  while (window.begin < window.end && at(static_cast<int32_t>(window.begin % kUses)).step < step) {
    blocks.push_back(at(static_cast<int32_t>(window.begin % kUses)).block);
    remove_first();
  }
  window.next_step = std::max(window.next_step, step);
  constexpr int64_t kUsesAtOnce = int64_t{1} << 13;
  for (int64_t looked = 0;
       window.next_step < end && looked <= kUsesAtOnce - std::min(uses_of_step, kUsesAtOnce) &&
       window.end - window.begin + uses_of_step <= kUses;
       looked += uses_of_step) {
    uses(window.next_step, [&](int64_t block) {
      if (append(block, window.next_step)) blocks.push_back(block);
    });
    ++window.next_step;
  }
  for (const int64_t block : blocks) changed(block);
}

}  // namespace lockstep
