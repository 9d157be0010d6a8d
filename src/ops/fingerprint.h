#pragma once

#include <cstdint>
#include <span>

#include "src/core/host_device.h"
#include "src/device/exec.h"
#include "src/tensor/flat.h"

namespace lockstep {

/// Adds the fingerprint of some floats to *sum, to detect whether copies that should be equal differ. It
/// always changes if one float changes, and almost surely if several do. 0 and -0 differ; all NaNs are equal,
/// because the payload of a computed NaN is unspecified.
/// values: blocks of kFlatBlock, the last of which may end earlier, at a multiple of 4, as if zeros followed.
/// first_block: index of the first among all blocks added to the same sum. values and sum are in the memory
/// of the backend. Enqueues; does not wait. A block's 32-bit words are added with odd coefficients
/// (multilinear hashing: Lemire and Kaser 2014, "Strongly universal string hashing is fast"), a bijection
/// combines that with the block's number, and the results of all blocks are added, everything modulo 2^64:
/// neither the order of additions nor the backend matters.
void add_fingerprint(Exec exec, std::span<const float> values, int64_t first_block, uint64_t* sum);

/// Floats in a fingerprint cut into pieces of 6 bits, each followed by its square: their sums over up to
/// kMaxFingerprintRanks ranks are exact in float, in any order.
inline constexpr int kFingerprintFloats = 22;
inline constexpr int kMaxFingerprintRanks = 4096;

/// pieces (kFingerprintFloats) = the pieces of *sum and their squares. Both in the memory of the backend.
/// Enqueues; does not wait.
void cut_fingerprint(Exec exec, const uint64_t* sum, float* pieces);

/// Whether all ranks had the same fingerprint, from the all-reduced pieces: by the Cauchy-Schwarz inequality,
/// ranks * (sum of squares) equals (sum)^2 only if all pieces are equal. On the host.
bool fingerprints_agree(std::span<const float> summed_pieces, int ranks);

/// The finalizer of SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number
/// generators").
LOCKSTEP_HOST_DEVICE constexpr uint64_t splitmix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

/// The bits that represent every NaN.
inline constexpr uint32_t kFingerprintNaN = 0x7FC00000u;

/// The odd factor of the float at this index in a block.
LOCKSTEP_HOST_DEVICE constexpr uint32_t fingerprint_factor(int place) {
  return static_cast<uint32_t>(splitmix(static_cast<uint64_t>(place) + 1)) | 1u;
}

/// The contribution of a block to a fingerprint: for each block, a bijection of its weighted sum.
LOCKSTEP_HOST_DEVICE constexpr uint64_t fingerprint_word(uint64_t weighted_sum, int64_t block) {
  return splitmix(weighted_sum + (static_cast<uint64_t>(block) + 1) * 0x9E3779B97F4A7C15u);
}

}  // namespace lockstep
