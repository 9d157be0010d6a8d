#include <algorithm>

#include "io/hdf5/filters/bits.h"
#include "io/hdf5/filters/filters.h"

namespace lockstep::filters {

void decode_nbit(std::span<const std::byte> in, std::span<const unsigned> settings,
                 std::span<std::byte> out) {
  // The meaning of the filter's settings in the file (H5Znbit.c), for numbers.
  enum { kIsStoredAsItIs = 1, kSize = 4, kOrder = 5, kPrecision = 6, kOffset = 7, kSettings = 8 };
  if (settings.size() > kIsStoredAsItIs && settings[kIsStoredAsItIs] != 0) {
    if (in.size() != out.size()) throw BadChunk("its n-bit data has another size than its values");
    std::copy(in.begin(), in.end(), out.begin());
    return;
  }
  if (settings.size() < kSettings) throw BadChunk("the settings of its n-bit filter are damaged");
  const size_t size = settings[kSize];
  const unsigned precision = settings[kPrecision], offset = settings[kOffset];
  if (size < 1 || size > 8 || out.size() % size != 0 || precision < 1 || precision > 8 * size ||
      offset > 8 * size - precision)
    throw BadChunk("the settings of its n-bit filter are damaged");
  if (!holds(in, out.size() / size, precision)) throw BadChunk("its n-bit data is cut short");
  BitReader bits(in);
  for (size_t at = 0; at < out.size(); at += size)
    put_number(bits.take(precision) << offset, settings[kOrder] != 0, out.subspan(at, size));
}

}  // namespace lockstep::filters
