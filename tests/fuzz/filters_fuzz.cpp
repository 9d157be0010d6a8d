#include <algorithm>
#include <vector>

#include "io/hdf5/filters/filters.h"
#include "io/hdf5/filters/pipeline.h"
#include "tests/fuzz/fuzz.h"

/// The stored bytes of a chunk, behind 8 bytes that choose its filters, their settings and its size. They are
/// decoded into exactly the chunk, or refused.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lockstep::filters;
  constexpr size_t kHeader = 8;
  constexpr int kIds[] = {kDeflate, kShuffle, kFletcher32, kNbit, kScaleOffset, kLzf,
                          kBlosc,   kLz4,     kBitshuffle, kZstd, kSzip};
  if (size < kHeader) return 0;
  const auto step = [&](size_t at) {
    const unsigned element = data[3] % 9, option = data[at] / std::size(kIds);
    Step result{kIds[data[at] % std::size(kIds)], {}};
    if (result.id == kShuffle) result.settings = {element};
    if (result.id == kBitshuffle) result.settings = {0, 4, element, 8 * (option % 3), data[4] % 4u};
    // Of these, the class, size, order, precision and offset (n-bit) or fill value (scale-offset).
    if (result.id == kNbit) result.settings = {8, option % 2, 0, 1, element, data[4] % 2u, data[5], data[6]};
    if (result.id == kScaleOffset)
      result.settings = {option, data[5] % 70u, 0, data[4] % 2u, element, 0, data[6] % 2u, 1, 7, 0};
    if (result.id == kSzip) result.settings = {data[4], data[3] % 36u, data[5] % 68u, data[6] * 8u + option};
    return result;
  };
  std::vector<Step> steps = {step(0)};
  if (data[1] % 2 == 1) steps.push_back(step(1));
  if (!std::all_of(steps.begin(), steps.end(), is_decoded_here)) return 0;
  const size_t chunk_bytes = data[2] + size_t{256} * data[7] + 1;
  const Pipeline pipeline(steps, chunk_bytes);
  Scratch scratch;
  // Memory of exactly this size: AddressSanitizer sees any access beyond it.
  const std::vector<uint8_t> copy(data + kHeader, data + size);
  std::vector<std::byte> place(chunk_bytes);
  try {
    const auto values = pipeline.decode(std::as_bytes(std::span(copy)), data[1] / 64u, scratch, place);
    if (values.size() != chunk_bytes) std::abort();
  } catch (const BadChunk&) {
  }
  return 0;
}
