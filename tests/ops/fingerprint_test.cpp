#include "src/ops/fingerprint.h"

#include <bit>
#include <limits>
#include <set>

#include "tests/support/backend.h"
#include "tests/support/harness/op_case.h"

namespace lockstep::test {
namespace {

/// The eight bytes of a word, in which a case describes what no double holds.
Fill bytes_of(uint64_t word) {
  Fill fill;
  for (int i = 0; i < 8; ++i) fill.bytes.push_back(static_cast<uint8_t>(word >> 8 * i));
  return fill;
}
uint64_t word_of(const Doubles& bytes) {
  uint64_t word = 0;
  for (size_t i = 0; i < 8; ++i) word |= static_cast<uint64_t>(bytes[i]) << 8 * i;
  return word;
}

/// What the documentation says, written for reading.
uint64_t oracle(const Doubles& values, uint64_t first_block) {
  uint64_t total = 0;
  for (size_t block = 0; block < values.size() / 64; ++block) {
    uint64_t weighted = 0;
    for (size_t place = 0; place < 64; ++place) {
      const uint64_t factor = splitmix(place + 1) % (uint64_t{1} << 32);
      weighted += uint64_t{std::bit_cast<uint32_t>(static_cast<float>(values[64 * block + place]))} *
                  (factor % 2 == 1 ? factor : factor + 1);
    }
    total += splitmix(weighted + 11400714819323198485u * (first_block + block + 1));
  }
  return total;
}

OpCase add_case(int64_t blocks, int64_t first_block, uint64_t start) {
  OpCase op;
  op.input("values", {blocks * kFlatBlock}).state("sum", {8}, bytes_of(start), kExact, DType::u8);
  op.runs([=](const OpCall& c) {
    const auto count = static_cast<size_t>(c["values"].shape().elements());
    add_fingerprint(c.exec, {c["values"].data<float>(), count}, first_block,
                    static_cast<uint64_t*>(c["sum"].raw()));
  });
  op.oracle = [=](const Values& in) {
    const Fill sum = bytes_of(word_of(in["sum"]) + oracle(in["values"], static_cast<uint64_t>(first_block)));
    return Values{{"sum", {sum.bytes.begin(), sum.bytes.end()}}};
  };
  op.pointers = {"values", "sum"};
  return op;
}

const RegisterOp kAddFingerprint("add_fingerprint", [](Op& op) {
  // From less than a block of threads to several rounds of all.
  const std::vector<int64_t> blocks = {1, 2, 3, 15, 16, 17, 63, 200};
  op.add("from nothing", blocks, [](int64_t rows) { return add_case(rows, 0, 0); });
  op.add("to another's", blocks, [](int64_t rows) { return add_case(rows, 1000, 17); });
  op.time("a million floats", 16384, [](int64_t rows) { return add_case(rows, 0, 0); });
});

OpCase cut_case(uint64_t sum) {
  OpCase op;
  op.input("sum", {8}, bytes_of(sum), DType::u8).output("pieces", {kFingerprintFloats}, kExact);
  op.runs([](const OpCall& c) {
    cut_fingerprint(c.exec, static_cast<const uint64_t*>(c["sum"].raw()), c["pieces"].data<float>());
  });
  op.oracle = [](const Values& in) {  // all bits, in pieces of 6 with their squares
    Values out = {{"pieces", {}}};
    for (int bit = 0; bit < 64; bit += 6) {
      const auto piece = static_cast<double>(word_of(in["sum"]) >> bit & 63);
      out["pieces"].insert(out["pieces"].end(), {piece, piece * piece});
    }
    return out;
  };
  return op;
}

const RegisterOp kCutFingerprint("cut_fingerprint", [](Op& op) {
  op.add("zeros", cut_case(0));
  op.add("ones", cut_case(~uint64_t{0}));
  op.add("any word", cut_case(0x0123456789ABCDEF));
});

class FingerprintTest : public BackendTest {
 protected:
  /// Of blocks, the first of which is number first_block; added to `start`.
  uint64_t fingerprint(const std::vector<float>& values, int64_t first_block = 0, uint64_t start = 0) const {
    const Guarded<float> data(exec(), {static_cast<int64_t>(values.size())}, values);
    const Buffer sum(exec(), Memory::device, sizeof(uint64_t));
    to_backend(exec(), sum.as<uint64_t>(), {start});
    add_fingerprint(exec(), data.span(), first_block, sum.as<uint64_t>().data());
    return from_backend(exec(), sum.as<uint64_t>())[0];
  }
};
INSTANTIATE_FOR_BACKENDS(FingerprintTest);

TEST_P(FingerprintTest, EveryBitOfEveryFloatOfABlockCounts) {
  std::vector<float> values = random_values(kFlatBlock, 6);
  values[3] = 0;
  std::set<uint64_t> seen = {fingerprint(values)};
  // All bits on the CPU; a launch for each would take long.
  const uint32_t step = exec().on_cuda() ? 13 : 1;
  size_t flips = 0;
  for (uint32_t flip = 0; flip < 32 * kFlatBlock; flip += step, ++flips) {
    std::vector<float> flipped = values;
    float& value = flipped[flip / 32];
    value = std::bit_cast<float>(std::bit_cast<uint32_t>(value) ^ (1u << flip % 32));
    seen.insert(fingerprint(flipped));
  }
  EXPECT_EQ(seen.size(), flips + 1) << "each flip has a different fingerprint";
}

TEST_P(FingerprintTest, ZerosOfBothSignsDifferAndNaNsDoNot) {
  const auto of = [&](uint32_t bits) {
    std::vector<float> values = random_values(kFlatBlock, 6);
    values[9] = std::bit_cast<float>(bits);
    return fingerprint(values);
  };
  EXPECT_NE(of(0), of(0x80000000u));
  for (const uint32_t nan : {0x7FC00000u, 0x7F800001u, 0xFFFFFFFFu})
    EXPECT_EQ(of(nan), of(0x7FC00001u)) << nan;
  EXPECT_NE(of(0x7F800000u), of(0x7FC00000u)) << "infinity";
  EXPECT_NE(of(0x7F800000u), of(0xFF800000u)) << "infinities";
}

TEST_P(FingerprintTest, ExchangedFloatsAndBlocksAreSeen) {
  const std::vector<float> values = random_values(2 * kFlatBlock, 7);
  std::vector<float> floats = values, blocks = values;
  std::swap(floats[10], floats[11]);
  std::swap_ranges(blocks.begin(), blocks.begin() + kFlatBlock, blocks.begin() + kFlatBlock);
  EXPECT_NE(fingerprint(floats), fingerprint(values));
  EXPECT_NE(fingerprint(blocks), fingerprint(values));
}

TEST_P(FingerprintTest, AShorterLastBlockCountsAsIfZerosFollowed) {
  for (const size_t size : {size_t{4}, size_t{32}, size_t{60}, size_t{96}, size_t{1000}}) {
    const std::vector<float> values = random_values(static_cast<int64_t>(size), 9);
    std::vector<float> filled = values;
    filled.resize((size + kFlatBlock - 1) / kFlatBlock * kFlatBlock);
    EXPECT_EQ(fingerprint(values), fingerprint(filled)) << size;
  }
}

TEST_P(FingerprintTest, PartsAddUpToTheWhole) {
  const std::vector<float> values = random_values(5 * kFlatBlock, 8);
  const auto cut = values.begin() + 2 * kFlatBlock;
  const uint64_t last = fingerprint({cut, values.end()}, 2);
  EXPECT_EQ(fingerprint({values.begin(), cut}, 0, last), fingerprint(values));
}

/// The pieces of all ranks, added in float as a sum over ranks might: one after another, or pairwise.
std::vector<float> summed(const std::vector<uint64_t>& sums, bool pairwise) {
  std::vector<std::vector<float>> nodes;
  for (const uint64_t sum : sums) {
    std::vector<float>& pieces = nodes.emplace_back(kFingerprintFloats);
    cut_fingerprint(Exec{}, &sum, pieces.data());
  }
  const auto add = [](std::vector<float>& to, const std::vector<float>& from) {
    for (size_t i = 0; i < to.size(); ++i) to[i] += from[i];
  };
  for (size_t distance = 1; pairwise && distance < nodes.size(); distance *= 2)
    for (size_t i = 0; i + distance < nodes.size(); i += 2 * distance) add(nodes[i], nodes[i + distance]);
  for (size_t i = 1; !pairwise && i < nodes.size(); ++i) add(nodes[0], nodes[i]);
  return nodes[0];
}

TEST(Fingerprints, OneRankOfManyThatDiffersInOneBitIsSeenInAnyOrderOfSums) {
  for (const int ranks : {1, 2, 3, 16, 1000, kMaxFingerprintRanks}) {
    for (const uint64_t value : {~uint64_t{0}, uint64_t{0}, uint64_t{0xFEDCBA9876543210}}) {
      std::vector<uint64_t> sums(static_cast<size_t>(ranks), value);
      for (const bool pairwise : {false, true}) {
        EXPECT_TRUE(fingerprints_agree(summed(sums, pairwise), ranks)) << ranks;
        if (ranks == 1) continue;
        for (const int bit : {0, 5, 6, 63}) {
          sums.back() = value ^ (uint64_t{1} << bit);
          EXPECT_FALSE(fingerprints_agree(summed(sums, pairwise), ranks)) << ranks << ", bit " << bit;
        }
        sums.back() = value;
      }
    }
  }
}

TEST(Fingerprints, TwoRanksThatDifferInOppositeWaysAreSeen) {
  EXPECT_FALSE(fingerprints_agree(summed({7, 6, 8, 7}, false), 4));
}

TEST(Fingerprints, WhatIsNoSumOfPiecesDoesNotAgree) {
  std::vector<float> sums = summed({3, 3}, false);
  sums[20] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(fingerprints_agree(sums, 2));
}

}  // namespace
}  // namespace lockstep::test
