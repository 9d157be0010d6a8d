#include "src/ops/fingerprint.h"

#include <algorithm>
#include <array>
#include <bit>

#include "src/core/error.h"
#include "src/device/with_cuda.h"
#include "src/ops/cuda_ops.h"

namespace lockstep {

namespace cpu {

namespace {

constexpr auto kFactors = [] {
  std::array<uint32_t, kFlatBlock> factors{};
  for (size_t place = 0; place < factors.size(); ++place)
    factors[place] = fingerprint_factor(static_cast<int>(place));
  return factors;
}();

void add_fingerprint(std::span<const float> values, int64_t first_block, uint64_t* sum) {
  uint64_t total = 0;
  for (int64_t block = 0; !values.empty(); ++block) {
    const std::span<const float> floats = values.first(std::min(values.size(), kFactors.size()));
    values = values.subspan(floats.size());
    uint64_t weighted = 0;
    for (size_t place = 0; place < floats.size(); ++place) {
      const bool is_nan = floats[place] != floats[place];
      weighted +=
          uint64_t{is_nan ? kFingerprintNaN : std::bit_cast<uint32_t>(floats[place])} * kFactors[place];
    }
    total += fingerprint_word(weighted, first_block + block);
  }
  *sum += total;
}

}  // namespace

}  // namespace cpu

void add_fingerprint(Exec exec, std::span<const float> values, int64_t first_block, uint64_t* sum) {
  INVARIANT(values.size() % 4 == 0, "{} floats", values.size());
  if (values.empty()) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::add_fingerprint(exec, values, first_block, sum);
  }
  cpu::add_fingerprint(values, first_block, sum);
}

void cut_fingerprint(Exec exec, const uint64_t* sum, float* pieces) {
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::cut_fingerprint(exec, sum, pieces);
  }
  for (int i = 0; i < kFingerprintFloats; i += 2) {
    const auto piece = static_cast<float>(*sum >> (3 * i) & 63u);
    pieces[i] = piece;
    pieces[i + 1] = piece * piece;
  }
}

bool fingerprints_agree(std::span<const float> summed_pieces, int ranks) {
  INVARIANT(summed_pieces.size() == kFingerprintFloats && ranks <= kMaxFingerprintRanks,
            "{} pieces of {} ranks", summed_pieces.size(), ranks);
  for (size_t i = 0; i < summed_pieces.size(); i += 2) {
    // In double, because a faulty all-reduce may leave numbers that are not whole. Exact for whole numbers.
    const double sum = summed_pieces[i], squares = summed_pieces[i + 1];
    if (!(ranks * squares == sum * sum)) return false;
  }
  return true;
}

}  // namespace lockstep
