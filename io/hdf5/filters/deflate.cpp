#include <fmt/format.h>
#include <libdeflate.h>

#include <memory>
#include <new>

#include "io/hdf5/filters/filters.h"

namespace lockstep::filters {

namespace {

struct FreeDecompressor {
  void operator()(libdeflate_decompressor* decompressor) const { libdeflate_free_decompressor(decompressor); }
};

/// One for each thread, with its tables.
libdeflate_decompressor* decompressor() {
  thread_local const std::unique_ptr<libdeflate_decompressor, FreeDecompressor> own(
      libdeflate_alloc_decompressor());
  if (!own) throw std::bad_alloc();
  return own.get();
}

}  // namespace

size_t inflate(std::span<const std::byte> in, std::span<std::byte> out) {
  size_t written = 0;
  switch (
      libdeflate_zlib_decompress(decompressor(), in.data(), in.size(), out.data(), out.size(), &written)) {
    case LIBDEFLATE_SUCCESS:
      return written;
    case LIBDEFLATE_INSUFFICIENT_SPACE:
      throw BadChunk(fmt::format("its deflate data decodes to more than {} bytes", out.size()));
    default:
      throw BadChunk("its deflate data is damaged or cut short");
  }
}

}  // namespace lockstep::filters
