#include "io/dataset/order/sampler.h"

#include <algorithm>
#include <numeric>

#include "io/dataset/order/permutation.h"
#include "src/core/error.h"
#include "src/core/rng.h"

namespace lockstep {

namespace {

constexpr uint64_t kOrderStream = 0x6f72646572;  // "order": distinct from all other uses of the seed

}  // namespace

Sampler::Sampler(uint64_t seed, int64_t samples, int64_t global_batch, const Order& order)
    : seed_(seed),
      samples_(samples),
      global_batch_(global_batch),
      kind_(order.kind),
      classes_(order.classes),
      lengths_(order.lengths) {
  INVARIANT(samples >= 0 && global_batch > 0, "{} samples in batches of {}", samples, global_batch);
  if (kind_ != Order::Kind::windows) return;
  INVARIANT(std::reduce(order.parts.begin(), order.parts.end()) == samples, "{} samples in parts of {}",
            samples, std::reduce(order.parts.begin(), order.parts.end()));
  windows_.emplace(order.windows, order.parts, global_batch);
}

int64_t Sampler::valid(int64_t step_in_epoch) const {
  const int64_t left = samples_ - step_in_epoch * global_batch_;
  return left < 0 ? 0 : left < global_batch_ ? left : global_batch_;
}

uint64_t Sampler::key_of(int64_t epoch) const {
  const Random4 words = philox(seed_, kOrderStream, static_cast<uint64_t>(epoch));
  return uint64_t{words.word[0]} << 32 | words.word[1];
}

int64_t Sampler::sample(int64_t epoch, int64_t step_in_epoch, int64_t slot) const {
  INVARIANT(slot >= 0 && slot < global_batch_, "slot {} of a batch of {}", slot, global_batch_);
  if (slot >= valid(step_in_epoch)) return -1;
  const int64_t position = step_in_epoch * global_batch_ + slot;
  if (kind_ == Order::Kind::stored) return position;
  const uint64_t key = key_of(epoch);
  if (kind_ == Order::Kind::windows) return windows_->sample(key, step_in_epoch, slot);
  if (kind_ == Order::Kind::classes) return classes_->sample(key, position);
  if (kind_ == Order::Kind::lengths) return lengths_->sample(key, step_in_epoch, slot);
  const Permutation permutation(key, static_cast<uint64_t>(samples_));
  return static_cast<int64_t>(permutation(static_cast<uint64_t>(position)));
}

int64_t Sampler::length(int64_t epoch, int64_t step_in_epoch) const {
  return lengths_ ? lengths_->length(key_of(epoch), step_in_epoch) : 0;
}

void Sampler::samples(int64_t epoch, int64_t step_in_epoch, int64_t first_slot,
                      std::span<int64_t> out) const {
  const auto slots = static_cast<int64_t>(out.size());
  if (kind_ != Order::Kind::full) {
    for (int64_t i = 0; i < slots; ++i)
      out[static_cast<size_t>(i)] = sample(epoch, step_in_epoch, first_slot + i);
    return;
  }
  INVARIANT(first_slot >= 0 && first_slot + slots <= global_batch_, "slots [{}, {}) of a batch of {}",
            first_slot, first_slot + slots, global_batch_);
  const auto real = static_cast<size_t>(std::clamp<int64_t>(valid(step_in_epoch) - first_slot, 0, slots));
  std::ranges::fill(out.subspan(real), -1);
  if (real > 0)
    Permutation(key_of(epoch), static_cast<uint64_t>(samples_))
        .map(static_cast<uint64_t>(step_in_epoch * global_batch_ + first_slot), out.first(real));
}

}  // namespace lockstep
