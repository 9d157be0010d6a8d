#include "io/repack/encode_chunk.h"

#include <zlib.h>

#include <new>

#include "src/core/error.h"

namespace lockstep {

std::vector<std::byte> encode_chunk(std::span<const std::byte> values, size_t element_bytes, int level) {
  const size_t elements = values.size() / element_bytes;
  INVARIANT(elements * element_bytes == values.size(), "{} bytes of elements of {}", values.size(),
            element_bytes);
  std::vector<std::byte> shuffled(values.size());
  for (size_t byte = 0; byte < element_bytes; ++byte)
    for (size_t i = 0; i < elements; ++i) shuffled[byte * elements + i] = values[i * element_bytes + byte];
  uLongf bytes = compressBound(shuffled.size());
  std::vector<std::byte> encoded(bytes);
  const int status = compress2(reinterpret_cast<Bytef*>(encoded.data()), &bytes,
                               reinterpret_cast<const Bytef*>(shuffled.data()), shuffled.size(), level);
  if (status == Z_MEM_ERROR) throw std::bad_alloc();
  INVARIANT(status == Z_OK, "zlib: {}", status);
  encoded.resize(bytes);
  return encoded;
}

}  // namespace lockstep
