#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>

/// HDF5's common filters, decoded by bounded code: no decoder reads outside `in` or writes outside `out`,
/// however damaged its input is. All of it is safe to call from several threads at once.
namespace lockstep::filters {

/// What is wrong with the bytes of a chunk, as the end of a sentence: "its deflate data is damaged".
struct BadChunk : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Decodes a zlib stream. Returns the bytes written. Throws BadChunk for a damaged or unfinished stream, or
/// one that does not fit into `out`.
size_t inflate(std::span<const std::byte> in, std::span<std::byte> out);

/// Decodes what h5py's lzf wrote (the format of liblzf 3). Returns the bytes written; throws as inflate does.
size_t decode_lzf(std::span<const std::byte> in, std::span<std::byte> out);

/// Puts the bytes of each element side by side again: `in` holds the first byte of every element, then the
/// second of every element, and so on; what is left at the end stays there. `out` has the size of `in`.
void unshuffle(std::span<const std::byte> in, size_t element_bytes, std::span<std::byte> out);

/// The part of `in` before its checksum (HDF5's fletcher32, 4 bytes). Throws BadChunk if they do not agree.
std::span<const std::byte> checked_fletcher32(std::span<const std::byte> in);

/// Decodes n-bit: of each number only the bits that it uses are stored, one number after another, from the
/// most significant bit on. `settings` are the filter's in the file. Fills `out`; throws as inflate does.
void decode_nbit(std::span<const std::byte> in, std::span<const unsigned> settings, std::span<std::byte> out);

/// Decodes scale-offset: of each number its difference from the smallest is stored, in as few bits as the
/// largest needs; floats as decimal fractions. Fills `out`; throws as inflate does.
void decode_scale_offset(std::span<const std::byte> in, std::span<const unsigned> settings,
                         std::span<std::byte> out);

}  // namespace lockstep::filters
