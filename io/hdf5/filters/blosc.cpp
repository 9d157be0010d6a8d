#include <blosc.h>
#include <fmt/format.h>

#include "io/hdf5/filters/filters.h"

namespace lockstep::filters {

size_t decode_blosc(std::span<const std::byte> in, std::span<std::byte> out) {
  size_t bytes = 0;
  if (blosc_cbuffer_validate(in.data(), in.size(), &bytes) < 0) throw BadChunk("its blosc data is damaged");
  if (bytes > out.size()) throw BadChunk(fmt::format("its blosc data decodes to {} bytes", bytes));
  constexpr int kThreads = 1;
  const int written = blosc_decompress_ctx(in.data(), out.data(), out.size(), kThreads);
  if (written < 0 || static_cast<size_t>(written) != bytes) throw BadChunk("its blosc data is damaged");
  return bytes;
}

}  // namespace lockstep::filters
