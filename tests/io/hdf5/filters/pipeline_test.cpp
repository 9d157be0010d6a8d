#include "io/hdf5/filters/pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <cstring>
#include <numeric>
#include <string>

#include "io/hdf5/filters/filters.h"

namespace lockstep::filters {
namespace {

using testing::HasSubstr;
using Bytes = std::vector<std::byte>;

Bytes bytes_of(std::initializer_list<int> values) {
  Bytes bytes;
  for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

Bytes counting_bytes(size_t count) {
  Bytes bytes(count);
  for (size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::byte>(i * i / 7);
  return bytes;
}

Bytes deflated(const Bytes& values) {
  uLongf size = compressBound(values.size());
  Bytes stream(size);
  compress(reinterpret_cast<Bytef*>(stream.data()), &size, reinterpret_cast<const Bytef*>(values.data()),
           values.size());
  stream.resize(size);
  return stream;
}

std::string problem_of(const Pipeline& pipeline, const Bytes& stored, uint32_t skipped = 0) {
  Scratch scratch;
  try {
    pipeline.decode(stored, skipped, scratch);
  } catch (const BadChunk& e) {
    return e.what();
  }
  return "no problem";
}

Bytes decoded(const Pipeline& pipeline, const Bytes& stored, uint32_t skipped = 0) {
  Scratch scratch;
  const auto values = pipeline.decode(stored, skipped, scratch);
  return {values.begin(), values.end()};
}

TEST(Pipeline, ADeflateStreamMustDecodeToExactlyTheChunk) {
  const Bytes values = counting_bytes(1000);
  const Pipeline pipeline({{kDeflate, {4}}}, 1000);
  EXPECT_EQ(decoded(pipeline, deflated(values)), values);
  EXPECT_EQ(problem_of(pipeline, deflated(counting_bytes(999))), "it decodes to 999 bytes instead of 1000");
  EXPECT_EQ(problem_of(pipeline, deflated(counting_bytes(1001))),
            "its deflate data decodes to more than 1000 bytes");
  Bytes cut = deflated(values);
  cut.resize(cut.size() / 2);
  EXPECT_EQ(problem_of(pipeline, cut), "its deflate data is damaged or cut short");
  EXPECT_EQ(problem_of(pipeline, bytes_of({1, 2, 3, 4})), "its deflate data is damaged or cut short");
  EXPECT_EQ(problem_of(pipeline, {}), "its deflate data is damaged or cut short");
}

TEST(Pipeline, AFewBytesCannotClaimMuchMemory) {
  const Pipeline pipeline({{kDeflate, {4}}}, size_t{1} << 31);
  EXPECT_THAT(problem_of(pipeline, deflated(counting_bytes(10))), HasSubstr("cannot hold 2147483648"));
}

TEST(Pipeline, AStepThatAChunkSkippedIsNotUndone) {
  const Bytes values = counting_bytes(64);
  const Pipeline pipeline({{kShuffle, {4}}, {kDeflate, {4}}}, 64);
  EXPECT_EQ(decoded(pipeline, values, 0b11), values);
  EXPECT_EQ(decoded(pipeline, deflated(values), 0b01), values);
  EXPECT_EQ(problem_of(pipeline, counting_bytes(63), 0b11), "it decodes to 63 bytes instead of 64");
}

TEST(Pipeline, TheOrderOfCompressorAndChecksumDecidesWhatIsChecked) {
  const Bytes values = counting_bytes(100);
  const Bytes stream = deflated(values);
  const Pipeline checksum_last({{kDeflate, {4}}, {kFletcher32, {}}}, 100);
  EXPECT_THAT(problem_of(checksum_last, stream), HasSubstr("checksum"));
  const Pipeline checksum_first({{kFletcher32, {}}, {kDeflate, {4}}}, 100);
  EXPECT_EQ(problem_of(checksum_first, stream), "it decodes to 100 bytes instead of 104");
}

TEST(Unshuffle, PutsTheBytesOfEachElementSideBySide) {
  for (const size_t element : {1, 2, 3, 4, 8, 16}) {
    for (const size_t size : {size_t{0}, size_t{1}, element, 5 * element, 5 * element + element / 2}) {
      const Bytes values = counting_bytes(size);
      Bytes shuffled(values);
      const size_t elements = size / element;
      for (size_t i = 0; i < elements; ++i) {
        for (size_t byte = 0; byte < element; ++byte)
          shuffled[byte * elements + i] = values[i * element + byte];
      }
      Bytes out(size);
      unshuffle(shuffled, element, out);
      EXPECT_EQ(out, values) << element << " " << size;
    }
  }
}

TEST(Lzf, DecodesRunsAndCopies) {
  // "abc", then 4 bytes from 3 back, then a long copy of 2 + 7 + 1 = 10 from 1 back.
  const Bytes stream = bytes_of({2, 'a', 'b', 'c', 2 << 5, 2, 7 << 5, 1, 0});
  Bytes out(17);
  EXPECT_EQ(decode_lzf(stream, out), 17u);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(out.data()), out.size()), "abcabcaaaaaaaaaaa");
}

TEST(Lzf, RefusesWhatLeadsOutsideItsMemory) {
  const Pipeline pipeline({{kLzf, {}}}, 8);
  EXPECT_EQ(problem_of(pipeline, bytes_of({9, 'a'})), "its lzf data is cut short");
  EXPECT_EQ(problem_of(pipeline, bytes_of({0, 'a', 1 << 5})), "its lzf data is cut short");
  EXPECT_EQ(problem_of(pipeline, bytes_of({0, 'a', 1 << 5, 1})), "its lzf data is damaged")
      << "before the first byte";
  EXPECT_EQ(problem_of(pipeline, bytes_of({0, 'a', 7 << 5, 200, 0})),
            "its lzf data decodes to more than 8 bytes");
  EXPECT_EQ(problem_of(pipeline, bytes_of({0, 'a'})), "it decodes to 1 bytes instead of 8");
}

TEST(Pipeline, RandomBytesAreRefusedOrDecodedWithinTheirMemory) {
  uint32_t state = 1;
  const auto random = [&] { return state = state * 1664525u + 1013904223u, state >> 16; };
  const std::vector<std::vector<Step>> pipelines = {{{kLzf, {}}},
                                                    {{kDeflate, {}}},
                                                    {{kShuffle, {4}}, {kLzf, {}}},
                                                    {{kFletcher32, {}}, {kDeflate, {}}},
                                                    {{kLzf, {}}, {kDeflate, {}}},
                                                    {{kShuffle, {0}}, {kFletcher32, {}}}};
  for (const auto& steps : pipelines) {
    const Pipeline pipeline(steps, 256);
    for (int trial = 0; trial < 2000; ++trial) {
      Bytes stored(random() % 400);
      for (std::byte& byte : stored) byte = static_cast<std::byte>(random());
      if (steps[0].id == kDeflate || steps.back().id == kDeflate) {
        stored = deflated(stored);
        stored[random() % stored.size()] ^= static_cast<std::byte>(random());
      }
      problem_of(pipeline, stored, random() % 4);
    }
  }
}

}  // namespace
}  // namespace lockstep::filters
