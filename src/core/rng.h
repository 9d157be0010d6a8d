#pragma once

#include <cstdint>

#include "src/core/host_device.h"

namespace lockstep {

/// Four random 32-bit words.
struct Random4 {
  uint32_t word[4];
};

/// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", section 3.3): a
/// bijection of the counter for each key. Random access: the words depend on nothing but (key, counter), so
/// they are the same on every rank, thread and backend.
LOCKSTEP_HOST_DEVICE inline Random4 philox(uint64_t key, uint64_t counter_high, uint64_t counter_low) {
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  uint32_t c0 = static_cast<uint32_t>(counter_low), c1 = static_cast<uint32_t>(counter_low >> 32);
  uint32_t c2 = static_cast<uint32_t>(counter_high), c3 = static_cast<uint32_t>(counter_high >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * c0;
    const uint64_t p1 = uint64_t{0xCD9E8D57u} * c2;
    const uint32_t n0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0;
    const uint32_t n2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c0 = n0;
    c1 = static_cast<uint32_t>(p1);
    c2 = n2;
    c3 = static_cast<uint32_t>(p0);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

/// A float in [0, 1) with 24 random bits.
LOCKSTEP_HOST_DEVICE inline float uniform(uint32_t word) { return static_cast<float>(word >> 8) * 0x1p-24f; }

/// A sequence of random numbers for host code that draws one after another (initializers, generators).
class RandomStream {
 public:
  /// Streams of different (key, id) are independent.
  RandomStream(uint64_t key, uint64_t id) : key_(key), id_(id) {}
  uint32_t next();
  /// In [0, 1).
  float next_uniform() { return uniform(next()); }
  /// Standard normal, by Box and Muller (1958).
  float next_normal();
  /// In [0, bound), without bias.
  uint32_t next_below(uint32_t bound);

 private:
  uint64_t key_;
  uint64_t id_;
  uint64_t position_ = 0;
  Random4 block_{};
};

}  // namespace lockstep
