#pragma once

// Sets of 32-byte sectors of the emulated GPU's memory.
#include <cstddef>
#include <cstdint>
#include <vector>

namespace emulator::account {

inline constexpr size_t kSectorBytes = 32;
/// Its sectors have numbers of 32 bits.
inline constexpr size_t kMemoryBytes = size_t{128} << 30;

/// Zeros, of which only what is written takes memory. Throws std::bad_alloc.
void* reserve(size_t bytes);

class SectorSet {
 public:
  SectorSet() : words_(static_cast<uint64_t*>(reserve(kMemoryBytes / kSectorBytes / 8))) {}

  /// Whether it was not in the set.
  bool insert(uint32_t sector) {
    uint64_t& word = words_[sector / 64];
    const uint64_t bit = uint64_t{1} << (sector % 64);
    if ((word & bit) != 0) return false;
    if (word == 0) used_.push_back(sector / 64);
    word |= bit;
    return true;
  }
  /// Calls visit(sector) for each.
  template <typename Visit>
  void for_each(Visit visit) const {
    for (const uint32_t word : used_)
      for (uint64_t bits = words_[word]; bits != 0; bits &= bits - 1)
        visit(word * 64 + static_cast<uint32_t>(__builtin_ctzll(bits)));
  }
  void clear() {
    for (const uint32_t word : used_) words_[word] = 0;
    used_.clear();
  }

 private:
  uint64_t* words_;  ///< kept until the process ends
  std::vector<uint32_t> used_;
};

}  // namespace emulator::account
