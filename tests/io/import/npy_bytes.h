#pragma once

#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace lockstep {

/// A little-endian number.
inline std::string little_endian(uint64_t value, size_t bytes) {
  std::string text;
  for (size_t i = 0; i < bytes; ++i) text += i < 8 ? static_cast<char>(value >> 8 * i) : '\0';
  return text;
}

/// An array of NumPy's format with this header and these elements.
inline std::string npy_bytes(const std::string& literal, int version = 1, const std::string& elements = "") {
  return std::string("\x93NUMPY") + static_cast<char>(version) + '\0' +
         little_endian(literal.size(), version == 1 ? 2 : 4) + literal + elements;
}

struct ZipInput {
  std::string name, content;
  bool deflate = false;
};

/// A zip file; with zip64, all sizes and places are in its records.
inline std::string zip_bytes(const std::vector<ZipInput>& inputs, bool zip64 = false) {
  std::string file, directory;
  for (const ZipInput& input : inputs) {
    std::string stored = input.content;
    if (input.deflate) {
      z_stream deflater{};
      deflateInit2(&deflater, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
      stored.resize(deflateBound(&deflater, input.content.size()));
      deflater.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.content.data()));
      deflater.avail_in = static_cast<uInt>(input.content.size());
      deflater.next_out = reinterpret_cast<Bytef*>(stored.data());
      deflater.avail_out = static_cast<uInt>(stored.size());
      deflate(&deflater, Z_FINISH);
      stored.resize(deflater.total_out);
      deflateEnd(&deflater);
    }
    const uint64_t checksum = crc32(0, reinterpret_cast<const Bytef*>(input.content.data()),
                                    static_cast<uInt>(input.content.size()));
    const auto number = [&](uint64_t value) { return little_endian(zip64 ? 0xFFFFFFFF : value, 4); };
    const std::string sizes = number(stored.size()) + number(input.content.size());
    const std::string common = little_endian(20, 2) + little_endian(0, 2) +
                               little_endian(input.deflate ? 8 : 0, 2) + little_endian(0, 4) +
                               little_endian(checksum, 4) + sizes + little_endian(input.name.size(), 2);
    const std::string extra = zip64 ? little_endian(1, 2) + little_endian(24, 2) +
                                          little_endian(input.content.size(), 8) +
                                          little_endian(stored.size(), 8) + little_endian(file.size(), 8)
                                    : "";
    directory += "PK\x01\x02" + little_endian(20, 2) + common + little_endian(extra.size(), 2) +
                 little_endian(0, 10) + number(file.size()) + input.name + extra;
    file += "PK\x03\x04" + common + little_endian(5, 2) + input.name + "extra" + stored;
  }
  const uint64_t begin = file.size();
  file += directory;
  if (zip64) {
    const uint64_t end = file.size();
    file += "PK\x06\x06" + little_endian(44, 8) + little_endian(0, 12) + little_endian(inputs.size(), 8) +
            little_endian(inputs.size(), 8) + little_endian(directory.size(), 8) + little_endian(begin, 8);
    file += "PK\x06\x07" + little_endian(0, 4) + little_endian(end, 8) + little_endian(1, 4);
  }
  const auto number = [&](uint64_t value, size_t bytes) {
    return little_endian(zip64 ? ~uint64_t{0} : value, bytes);
  };
  return file + "PK\x05\x06" + little_endian(0, 4) + number(inputs.size(), 2) + number(inputs.size(), 2) +
         number(directory.size(), 4) + number(begin, 4) + little_endian(0, 2);
}

}  // namespace lockstep
