#include <blosc.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lz4.h>
#include <zstd.h>
#if __has_include(<libaec.h>)
#include <libaec.h>
#endif

#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "io/hdf5/filters/filters.h"
#include "io/hdf5/filters/pipeline.h"

namespace lockstep::filters {
namespace {

using testing::AnyOf;
using testing::HasSubstr;
using testing::StartsWith;
using Bytes = std::vector<std::byte>;

/// Values whose high bytes repeat, so that every compressor finds something.
Bytes smooth_bytes(size_t count) {
  Bytes bytes(count);
  for (size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::byte>(i % 4 == 0 ? i * i / 64 : i / 512);
  return bytes;
}

void append_big_endian(Bytes& bytes, uint64_t value, size_t count) {
  for (size_t i = count; i-- > 0;) bytes.push_back(static_cast<std::byte>(value >> 8 * i));
}

Bytes zstd_of(const Bytes& values) {
  Bytes stream(ZSTD_compressBound(values.size()));
  stream.resize(ZSTD_compress(stream.data(), stream.size(), values.data(), values.size(), 3));
  return stream;
}

Bytes lz4_block_of(const Bytes& values) {
  Bytes stream(static_cast<size_t>(LZ4_compressBound(static_cast<int>(values.size()))));
  stream.resize(static_cast<size_t>(LZ4_compress_default(
      reinterpret_cast<const char*>(values.data()), reinterpret_cast<char*>(stream.data()),
      static_cast<int>(values.size()), static_cast<int>(stream.size()))));
  return stream;
}

/// What HDF5's lz4 filter writes.
Bytes lz4_of(const Bytes& values, size_t block) {
  Bytes stream;
  append_big_endian(stream, values.size(), 8);
  append_big_endian(stream, block, 4);
  for (size_t at = 0; at < values.size(); at += block) {
    const Bytes part(values.begin() + static_cast<std::ptrdiff_t>(at),
                     values.begin() + static_cast<std::ptrdiff_t>(std::min(at + block, values.size())));
    Bytes packed = lz4_block_of(part);
    if (packed.size() >= part.size()) packed = part;
    append_big_endian(stream, packed.size(), 4);
    stream.insert(stream.end(), packed.begin(), packed.end());
  }
  return stream;
}

Bytes blosc_of(const Bytes& values, const char* compressor, int shuffle) {
  Bytes stream(values.size() + BLOSC_MAX_OVERHEAD);
  const int size = blosc_compress_ctx(5, shuffle, 4, values.size(), values.data(), stream.data(),
                                      stream.size(), compressor, 0, 1);
  EXPECT_GT(size, 0) << compressor;
  stream.resize(static_cast<size_t>(std::max(size, 0)));
  return stream;
}

/// Bit by bit, after the description of the format.
Bytes bitshuffle_of(const Bytes& values, size_t element, size_t block,
                    const std::function<Bytes(const Bytes&)>& compress) {
  Bytes stream;
  if (compress) {
    append_big_endian(stream, values.size(), 8);
    append_big_endian(stream, block * element, 4);
  }
  const size_t elements = values.size() / element, whole = elements / 8 * 8;
  for (size_t first = 0; first < whole; first += block) {
    const size_t count = std::min(block, whole - first);
    Bytes rows(count * element);
    for (size_t i = 0; i < count; ++i) {
      for (size_t bit = 0; bit < 8 * element; ++bit) {
        const auto byte = static_cast<unsigned>(values[(first + i) * element + bit / 8]);
        if ((byte >> bit % 8 & 1) != 0) rows[bit * count / 8 + i / 8] |= static_cast<std::byte>(1u << i % 8);
      }
    }
    if (compress) {
      rows = compress(rows);
      append_big_endian(stream, rows.size(), 4);
    }
    stream.insert(stream.end(), rows.begin(), rows.end());
  }
  stream.insert(stream.end(), values.begin() + static_cast<std::ptrdiff_t>(whole * element), values.end());
  return stream;
}

#if __has_include(<libaec.h>)

constexpr unsigned kMsbFirst = 16, kPredicted = 32;

/// What HDF5's szip filter writes with these settings: options, block, bits of a number, line.
Bytes szip_of(const Bytes& values, const std::vector<unsigned>& settings) {
  const unsigned block = settings[1], bits = settings[2], line = settings[3];
  const bool is_shuffled = bits > 24;
  const size_t number = bits / 8, pixel = is_shuffled ? 1 : number;
  Bytes pixels(values);
  const size_t numbers = values.size() / number;
  for (size_t i = 0; is_shuffled && i < values.size(); ++i)
    pixels[i % number * numbers + i / number] = values[i];
  // Lines are padded to whole blocks, the last one first to a whole line, by repeating a pixel.
  Bytes padded;
  for (size_t at = 0; at < pixels.size(); at += line * pixel) {
    const auto first = pixels.begin() + static_cast<std::ptrdiff_t>(at);
    const size_t here = std::min(line * pixel, pixels.size() - at);
    padded.insert(padded.end(), first, first + static_cast<std::ptrdiff_t>(here));
    for (size_t i = here; i < (line + block - 1) / block * block * pixel; ++i)
      padded.push_back(padded[padded.size() - pixel]);
  }
  Bytes stream(2 * padded.size() + 1000);
  aec_stream encoder{};
  encoder.next_in = reinterpret_cast<const unsigned char*>(padded.data());
  encoder.avail_in = padded.size();
  encoder.next_out = reinterpret_cast<unsigned char*>(stream.data());
  encoder.avail_out = stream.size();
  encoder.bits_per_sample = is_shuffled ? 8 : bits;
  encoder.block_size = block;
  encoder.rsi = (line + block - 1) / block;
  encoder.flags = AEC_NOT_ENFORCE | ((settings[0] & kMsbFirst) != 0 ? AEC_DATA_MSB : 0u) |
                  ((settings[0] & kPredicted) != 0 ? AEC_DATA_PREPROCESS : 0u);
  EXPECT_EQ(aec_buffer_encode(&encoder), AEC_OK);
  stream.resize(encoder.total_out);
  Bytes stored;
  for (unsigned i = 0; i < 4; ++i) stored.push_back(static_cast<std::byte>(values.size() >> 8 * i));
  stored.insert(stored.end(), stream.begin(), stream.end());
  return stored;
}

#endif

struct Case {
  std::string name;
  Step step;
  Bytes values, stored;
  bool ends_in_padding = false;  ///< which nobody misses
};

std::vector<Case> cases() {
  std::vector<Case> all;
  const Bytes values = smooth_bytes(40'000), few = smooth_bytes(12);
  for (const Bytes& some : {values, few}) {
    const std::string size = std::to_string(some.size());
    all.push_back({"zstd " + size, {kZstd, {3}}, some, zstd_of(some)});
    for (const size_t block : {size_t{8}, size_t{1000}, size_t{1} << 20})
      all.push_back({"lz4 " + size + " by " + std::to_string(block), {kLz4, {}}, some, lz4_of(some, block)});
    for (const char* compressor : {"blosclz", "lz4", "lz4hc", "zlib", "zstd"}) {
      for (const int shuffle : {BLOSC_NOSHUFFLE, BLOSC_SHUFFLE, BLOSC_BITSHUFFLE})
        all.push_back({std::string("blosc ") + compressor + " " + size,
                       {kBlosc, {}},
                       some,
                       blosc_of(some, compressor, shuffle)});
    }
#if __has_include(<libaec.h>)
    for (const unsigned bits : {8u, 16u, 32u, 64u}) {
      const Bytes part(some.begin(), some.begin() + static_cast<std::ptrdiff_t>(some.size() / 8 * 8));
      for (const unsigned line : {32u, 50u, 1024u}) {
        for (const unsigned options : {0u, kPredicted, kPredicted | kMsbFirst}) {
          const std::vector<unsigned> settings = {options, 8, bits, line};
          all.push_back({fmt::format("szip {} {} {} {}", size, bits, line, options),
                         {kSzip, settings},
                         part,
                         szip_of(part, settings),
                         /*ends_in_padding=*/true});
        }
      }
    }
#endif
    for (const size_t element : {1, 2, 3, 4, 8}) {
      const auto bytes = static_cast<unsigned>(element);
      const Bytes part(some.begin(),
                       some.begin() + static_cast<std::ptrdiff_t>(some.size() / element * element));
      for (const unsigned block : {0u, 8u, 64u, 2048u}) {
        const size_t used = block > 0 ? block : std::max<size_t>(8192 / element / 8 * 8, 128);
        const std::string name =
            "bitshuffle " + size + " of " + std::to_string(element) + " by " + std::to_string(block);
        all.push_back(
            {name, {kBitshuffle, {0, 4, bytes, block}}, part, bitshuffle_of(part, element, used, {})});
        all.push_back({name + " lz4",
                       {kBitshuffle, {0, 4, bytes, block, 2}},
                       part,
                       bitshuffle_of(part, element, used, lz4_block_of)});
        all.push_back({name + " zstd",
                       {kBitshuffle, {0, 4, bytes, block, 3}},
                       part,
                       bitshuffle_of(part, element, used, zstd_of)});
      }
    }
  }
  return all;
}

TEST(Compressors, DecodeWhatTheirLibrariesWrite) {
  for (const Case& one : cases()) {
    SCOPED_TRACE(one.name);
    ASSERT_TRUE(is_decoded_here(one.step));
    const Pipeline pipeline({one.step}, one.values.size());
    Scratch scratch;
    const auto found = pipeline.decode(one.stored, 0, scratch);
    EXPECT_EQ(Bytes(found.begin(), found.end()), one.values);
    // Into memory of the caller's.
    Bytes place(one.values.size());
    EXPECT_EQ(pipeline.decode(one.stored, 0, scratch, place).data(), place.data());
    EXPECT_EQ(place, one.values);
  }
}

TEST(Compressors, RefuseAnotherSizeAndWhatIsCutShort) {
  for (const Case& one : cases()) {
    SCOPED_TRACE(one.name);
    const auto problem = [&](const Bytes& stored, size_t bytes) -> std::string {
      Scratch scratch;
      try {
        Pipeline({one.step}, bytes).decode(stored, 0, scratch);
      } catch (const BadChunk& e) {
        return e.what();
      }
      return "no problem";
    };
    const auto refused =
        AnyOf(StartsWith("it decodes to"), HasSubstr("data decodes to"), HasSubstr("is damaged"),
              HasSubstr("cut short"), HasSubstr("another size"), HasSubstr("cannot hold"));
    EXPECT_THAT(problem(one.stored, one.values.size() + 8), refused);
    EXPECT_THAT(problem(one.stored, one.values.size() - 8), refused);
    const size_t size = one.stored.size();
    for (const size_t left : {size_t{0}, size_t{3}, one.ends_in_padding ? size / 4 : size / 2,
                              one.ends_in_padding ? 4 : size - 1})
      EXPECT_THAT(problem({one.stored.begin(), one.stored.begin() + static_cast<std::ptrdiff_t>(left)},
                          one.values.size()),
                  refused);
  }
}

TEST(Compressors, DamagedBytesAreRefusedOrDecodedWithinTheirMemory) {
  uint32_t state = 1;
  const auto random = [&] { return state = state * 1664525u + 1013904223u, state >> 16; };
  int refused = 0;
  for (const Case& one : cases()) {
    const Pipeline pipeline({one.step}, one.values.size());
    for (int trial = 0; trial < 20; ++trial) {
      Bytes stored = one.stored;
      for (int change = 0; change < 3; ++change)
        stored[random() % stored.size()] = static_cast<std::byte>(random());
      Scratch scratch;
      try {
        EXPECT_EQ(pipeline.decode(stored, 0, scratch).size(), one.values.size());
      } catch (const BadChunk&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 1000);
}

TEST(Compressors, SzipRefusesDamagedSettings) {
  if (!has_szip()) GTEST_SKIP() << "this build has no decoder of szip";
  const Bytes stored(64);
  using Settings = std::vector<unsigned>;
  for (const Settings& settings :
       {Settings{}, Settings{0, 8, 8}, Settings{0, 0, 8, 32}, Settings{0, 7, 8, 32}, Settings{0, 34, 8, 64},
        Settings{0, 8, 0, 32}, Settings{0, 8, 25, 32}, Settings{0, 8, 65, 32}, Settings{0, 8, 8, 0},
        Settings{0, 8, 8, 7}, Settings{0, 8, 8, 8 * 128 + 1}}) {
    Bytes out(16);
    EXPECT_THROW(decode_szip(stored, settings, out), BadChunk);
  }
}

TEST(Pipeline, TheLastStepWritesWhereValuesBelong) {
  const Bytes values = smooth_bytes(4096);
  Bytes shuffled(values.size());
  for (size_t i = 0; i < values.size(); ++i) shuffled[i % 4 * (values.size() / 4) + i / 4] = values[i];
  const Pipeline pipeline({{kShuffle, {4}}, {kZstd, {}}}, values.size());
  Scratch scratch;
  Bytes place(values.size());
  const Bytes stored = zstd_of(shuffled);
  EXPECT_EQ(pipeline.decode(stored, 0, scratch, place).data(), place.data());
  EXPECT_EQ(place, values);
  // The first step skipped: the second one writes there. Both skipped: nothing is moved.
  EXPECT_EQ(pipeline.decode(stored, 0b01, scratch, place).data(), place.data());
  EXPECT_EQ(place, shuffled);
  EXPECT_EQ(pipeline.decode(values, 0b11, scratch, place).data(), values.data());
}

}  // namespace
}  // namespace lockstep::filters
