#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>

/// Decoders for HDF5's common filters that are safe for damaged input: they never read outside `in` or write
/// outside `out`, which do not overlap. Thread-safe.
namespace lockstep::filters {

/// What is wrong with the bytes of a chunk, as the end of a sentence: "its deflate data is damaged".
struct BadChunk : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Decodes a zlib stream. Returns the bytes written. Throws BadChunk for a damaged or incomplete stream, or
/// one that does not fit into `out`.
size_t inflate(std::span<const std::byte> in, std::span<std::byte> out);

/// Decodes data of h5py's lzf filter (the format of liblzf 3). Returns the bytes written; throws as inflate
/// does.
size_t decode_lzf(std::span<const std::byte> in, std::span<std::byte> out);

/// Decodes a Zstandard frame, or several. Returns the bytes written; throws as inflate does.
size_t decode_zstd(std::span<const std::byte> in, std::span<std::byte> out);

/// Decodes data of HDF5's lz4 filter. Returns the bytes written; throws as inflate does.
size_t decode_lz4(std::span<const std::byte> in, std::span<std::byte> out);
/// Decodes one block in LZ4's own format. Fills `out`; throws as inflate does.
void decode_lz4_block(std::span<const std::byte> in, std::span<std::byte> out);

/// Decodes data of the filter blosc (version 1), whose compressors are those of libblosc. Returns the bytes
/// written; throws as inflate does.
size_t decode_blosc(std::span<const std::byte> in, std::span<std::byte> out);

/// Decodes bitshuffle, which stores the first bit of every element of a block, then the second, and so on,
/// with each block compressed by lz4, by zstd or not. settings: of the filter, from the file. Fills `out`;
/// throws as inflate does.
void decode_bitshuffle(std::span<const std::byte> in, std::span<const unsigned> settings,
                       std::span<std::byte> out);

/// Whether this build has a decoder of szip: that of libaec.
bool has_szip();
/// Decodes data of HDF5's szip filter, if has_szip(). settings: of the filter, from the file. Returns the
/// bytes written; throws as inflate does.
size_t decode_szip(std::span<const std::byte> in, std::span<const unsigned> settings,
                   std::span<std::byte> out);

/// Undoes HDF5's byte shuffle: `in` holds the first byte of every element, then the second of every element,
/// and so on; remaining bytes at the end stay in place. `out` has the size of `in`.
void unshuffle(std::span<const std::byte> in, size_t element_bytes, std::span<std::byte> out);

/// The part of `in` before its checksum (HDF5's fletcher32, 4 bytes). Throws BadChunk if the checksum is
/// wrong.
std::span<const std::byte> checked_fletcher32(std::span<const std::byte> in);

/// Decodes the n-bit filter, which stores only the significant bits of each number, packed, most significant
/// bit first. settings: of the filter, from the file. Fills `out`; throws as inflate does.
void decode_nbit(std::span<const std::byte> in, std::span<const unsigned> settings, std::span<std::byte> out);

/// Decodes the scale-offset filter, which stores each number's difference from the smallest one, in as few
/// bits as the largest difference needs; floats as decimal fractions. Fills `out`; throws as inflate does.
void decode_scale_offset(std::span<const std::byte> in, std::span<const unsigned> settings,
                         std::span<std::byte> out);

}  // namespace lockstep::filters
