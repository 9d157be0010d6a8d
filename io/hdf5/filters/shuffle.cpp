#include <algorithm>
#include <cstring>

#include "io/hdf5/filters/filters.h"

namespace lockstep::filters {

namespace {

template <size_t kBytes>
void unshuffle_elements(const std::byte* __restrict in, size_t elements, std::byte* __restrict out) {
  for (size_t i = 0; i < elements; ++i) {
    for (size_t byte = 0; byte < kBytes; ++byte) out[i * kBytes + byte] = in[byte * elements + i];
  }
}

}  // namespace

void unshuffle(std::span<const std::byte> in, size_t element_bytes, std::span<std::byte> out) {
  const size_t elements = element_bytes > 1 ? in.size() / element_bytes : 0;
  switch (elements > 0 ? element_bytes : 1) {
    case 1:
      break;
    case 2:
      unshuffle_elements<2>(in.data(), elements, out.data());
      break;
    case 4:
      unshuffle_elements<4>(in.data(), elements, out.data());
      break;
    case 8:
      unshuffle_elements<8>(in.data(), elements, out.data());
      break;
    default:
      for (size_t byte = 0; byte < element_bytes; ++byte) {
        for (size_t i = 0; i < elements; ++i) out[i * element_bytes + byte] = in[byte * elements + i];
      }
  }
  const size_t done = elements * std::max<size_t>(element_bytes, 1);
  if (done < in.size()) std::memcpy(out.data() + done, in.data() + done, in.size() - done);
}

}  // namespace lockstep::filters
