#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "src/ops/attention/products_cpu.h"
#include "src/tensor/real.h"

namespace lockstep::cpu {

/// The parts of the workspace. Products read probabilities and gradients of scores as T; floats stay in
/// place.
template <Real T>
struct Areas {
  static constexpr bool kRounds = !std::is_same_v<T, float>;
  static_assert(!kRounds || sizeof(T) == 2);

  void* scratch;                       ///< of the products
  float *scores, *gradients;           ///< of a block of queries: (rows, keys)
  T *probabilities, *score_gradients;  ///< the same
  float *dk, *dv;                      ///< (T, width): sums of gradients that are not of float
  float* factors;                      ///< of dropout, for one query

  Areas(const AttentionExtents& extents, size_t scratch_bytes, void* workspace) : scratch(workspace) {
    const int64_t block = block_of(extents), sums = sums_of(extents);
    scores = reinterpret_cast<float*>(static_cast<std::byte*>(workspace) + aligned(scratch_bytes));
    gradients = scores + block;
    float* next = gradients + block;
    if constexpr (kRounds) {
      probabilities = reinterpret_cast<T*>(next);
      score_gradients = probabilities + block;
      next += block;
    } else {
      probabilities = scores;
      score_gradients = gradients;
    }
    dk = next;
    dv = dk + sums;
    factors = dv + sums;
  }

  static size_t bytes(const AttentionExtents& extents, size_t scratch_bytes) {
    const int64_t floats =
        (kRounds ? 3 : 2) * block_of(extents) + 2 * sums_of(extents) + extents.positions + 64;
    return aligned(scratch_bytes) + static_cast<size_t>(floats) * sizeof(float);
  }

 private:
  static int64_t block_of(const AttentionExtents& extents) {
    return QueryBlock::kMaxRows * extents.positions;
  }
  static int64_t sums_of(const AttentionExtents& extents) {
    return kRounds ? extents.positions * extents.width : 0;
  }
  static size_t aligned(size_t bytes) {
    constexpr size_t kAlignment = 64;
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
  }
};

}  // namespace lockstep::cpu
