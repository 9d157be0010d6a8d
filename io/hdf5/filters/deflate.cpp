#include <fmt/format.h>
#include <zlib.h>

#include "io/hdf5/filters/filters.h"

namespace lockstep::filters {

size_t inflate(std::span<const std::byte> in, std::span<std::byte> out) {
  constexpr size_t kMaxBytes = UINT32_MAX;  // zlib counts in 32 bits, and so do HDF5's chunks
  if (in.size() > kMaxBytes || out.size() > kMaxBytes) throw BadChunk("it is larger than 4 GiB");
  z_stream stream{};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(in.data()));
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  if (inflateInit(&stream) != Z_OK) throw std::bad_alloc();
  const int status = ::inflate(&stream, Z_FINISH);
  const size_t written = out.size() - stream.avail_out;
  const bool is_full = stream.avail_out == 0;
  const bool is_used_up = stream.avail_in == 0;
  inflateEnd(&stream);
  if (status == Z_MEM_ERROR) throw std::bad_alloc();
  if (status == Z_STREAM_END) return written;
  if (status == Z_BUF_ERROR && is_full && !is_used_up)
    throw BadChunk(fmt::format("its deflate data decodes to more than {} bytes", out.size()));
  if (status == Z_BUF_ERROR) throw BadChunk("its deflate data is cut short");
  throw BadChunk("its deflate data is damaged");
}

}  // namespace lockstep::filters
