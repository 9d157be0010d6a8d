#include "src/core/rng.h"

#include <cmath>
#include <numbers>

namespace lockstep {

uint32_t RandomStream::next() {
  if (position_ % 4 == 0) block_ = philox(key_, id_, position_ / 4);
  return block_.word[position_++ % 4];
}

float RandomStream::next_normal() {
  const double radius = std::sqrt(-2.0 * std::log((next() + 1.0) * 0x1p-32));
  return static_cast<float>(radius * std::cos(2.0 * std::numbers::pi * (next() * 0x1p-32)));
}

uint32_t RandomStream::next_below(uint32_t bound) {
  // Lemire 2019, "Fast random integer generation in an interval": reject the few low products that would
  // bias.
  const uint32_t threshold = (0u - bound) % bound;
  for (;;) {
    const uint64_t product = uint64_t{next()} * bound;
    if (static_cast<uint32_t>(product) >= threshold) return static_cast<uint32_t>(product >> 32);
  }
}

}  // namespace lockstep
