#include "comm/collectives/collectives.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "src/core/error.h"
#include "tests/support/gradient_tree.h"
#include "tests/support/thread_communicator.h"

namespace lockstep {
namespace {

using test::Fault;
using test::ThreadRanks;
using testing::HasSubstr;

using Vectors = std::vector<std::vector<float>>;

Vectors gradients(int size, int64_t n) {
  Vectors data;
  for (int rank = 0; rank < size; ++rank) data.push_back(made_up_gradient(rank, static_cast<size_t>(n)));
  return data;
}

/// Every rank's buffer after the collective.
Vectors run(ThreadRanks& ranks, Collective::Kind kind, Vectors data, Wire wire = Wire::fp32) {
  ranks.run_all([&](int rank, std::unique_ptr<Communicator> communicator) {
    communicator->start(Exec{}, {kind, data[static_cast<size_t>(rank)], wire});
    communicator->wait(Exec{});
  });
  return data;
}

/// By rank.
std::vector<Slice> slices(ThreadRanks& ranks, int64_t n) {
  std::vector<Slice> all(static_cast<size_t>(ranks.size()));
  ranks.run_all([&](int rank, const std::unique_ptr<Communicator>& communicator) {
    all[static_cast<size_t>(rank)] = communicator->slice(n);
  });
  return all;
}

std::span<const float> part(const std::vector<float>& data, const Slice& slice) {
  return std::span(data).subspan(static_cast<size_t>(slice.offset), static_cast<size_t>(slice.size));
}

double exact_sum(const Vectors& data, size_t i) {
  return std::accumulate(data.begin(), data.end(), 0.0,
                         [&](double sum, const auto& v) { return sum + v[i]; });
}
double magnitude(const Vectors& data, size_t i) {
  return std::accumulate(data.begin(), data.end(), 0.0,
                         [&](double sum, const auto& v) { return sum + std::abs(double{v[i]}); });
}

// Both sides of the length from which vectors are halved, odd ones, and ones where only some levels are
// halved or some slices are empty.
const int64_t kLengths[] = {0, 1, 3, 17, 64, 65, 256, 257, 515, 1287, 5003};

/// Also one of which the ranks of a node do not exchange the whole.
const int64_t kTreeLengths[] = {0, 1, 3, 17, 64, 65, 256, 257, 515, 1287, 5003, kNodeWholeElements + 77};

TEST(TreeSum, EqualsTheSequentialTreeOnEveryRank) {
  for (const int size : {1, 2, 4, 8, 16}) {
    for (const int64_t n : kTreeLengths) {
      const Vectors data = gradients(size, n);
      const std::vector<float> expected = oracle_tree_sum(data);
      for (int per_node = 1; per_node <= size; per_node *= 2) {
        SCOPED_TRACE(testing::Message() << size << " ranks by " << per_node << ", " << n << " elements");
        ThreadRanks ranks(size, {.reproducible = true, .ranks_per_node = per_node});
        for (const std::vector<float>& result : run(ranks, Collective::Kind::all_reduce, data))
          ASSERT_TRUE(same_bits(result, expected));
      }
    }
  }
}

TEST(TreeSum, SendsNoMoreThanAPlainAllReduce) {
  const int64_t n = 1 << 17;
  for (const auto& [size, per_node] : {std::pair{2, 0}, {4, 0}, {8, 0}, {16, 0}, {4, 4}, {16, 8}}) {
    ThreadRanks ranks(size, {.reproducible = true, .ranks_per_node = per_node});
    run(ranks, Collective::Kind::all_reduce, gradients(size, n));
    EXPECT_EQ(ranks.max_sent(), 2 * n * (size - 1) / size);  // the lower bound of any all-reduce
  }
}

TEST(TreeSum, NotANumberAndInfinityReachEveryRank) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  ThreadRanks ranks(4, {.reproducible = true});
  const Vectors results = run(ranks, Collective::Kind::all_reduce,
                              {{1, infinity, infinity, 0, -0.0f},
                               {2, 1, -infinity, nan, -0.0f},
                               {3, 1, 1, 0, -0.0f},
                               {4, 1, 1, 0, -0.0f}});
  for (const std::vector<float>& result : results) {
    EXPECT_EQ(result[0], 10);
    EXPECT_EQ(result[1], infinity);
    EXPECT_TRUE(std::isnan(result[2]));
    EXPECT_TRUE(std::isnan(result[3]));
    EXPECT_TRUE(result[4] == 0 && std::signbit(result[4]));
  }
}

TEST(Collectives, SlicesAreDisjointAlignedAndCoverTheBuffer) {
  for (const bool reproducible : {false, true}) {
    for (const int size : {1, 2, 3, 4, 7, 8, 16}) {
      if (reproducible && (size & (size - 1)) != 0) continue;
      for (const int64_t n : kLengths) {
        ThreadRanks ranks(size, {.reproducible = reproducible});
        std::vector<int> owners(static_cast<size_t>(n), 0);
        for (const Slice& slice : slices(ranks, n)) {
          EXPECT_EQ(slice.offset % kSliceAlignment, 0);
          EXPECT_TRUE(slice.offset + slice.size == n || slice.size % kSliceAlignment == 0);
          for (int64_t i = 0; i < slice.size; ++i) ++owners[static_cast<size_t>(slice.offset + i)];
          if (n == 5003) {
            EXPECT_NEAR(static_cast<double>(slice.size), 5003.0 / size, 128);
          }
        }
        EXPECT_EQ(owners, std::vector(static_cast<size_t>(n), 1)) << size << " ranks, " << n << " elements";
      }
    }
  }
}

TEST(Collectives, AReproducibleSliceHasTheBitsOfTheWholeSum) {
  for (const auto& [size, per_node] : {std::pair{2, 0}, {4, 0}, {8, 0}, {16, 0}, {8, 8}, {16, 4}}) {
    for (const int64_t n : kTreeLengths) {
      ThreadRanks ranks(size, {.reproducible = true, .ranks_per_node = per_node});
      const Vectors data = gradients(size, n);
      const std::vector<float> expected = oracle_tree_sum(data);
      const Vectors results = run(ranks, Collective::Kind::reduce_scatter, data);
      const std::vector<Slice> owned = slices(ranks, n);
      for (size_t rank = 0; rank < results.size(); ++rank)
        ASSERT_TRUE(same_bits(part(results[rank], owned[rank]), part(expected, owned[rank])))
            << size << " ranks, " << n << " elements";
    }
  }
}

TEST(Collectives, ASliceIsCloseToTheExactSumOnAnyNumberOfRanks) {
  for (const int size : {2, 3, 5, 16}) {
    for (const int64_t n : kLengths) {
      ThreadRanks ranks(size, {});
      const Vectors data = gradients(size, n);
      const Vectors results = run(ranks, Collective::Kind::reduce_scatter, data);
      const std::vector<Slice> owned = slices(ranks, n);
      for (size_t rank = 0; rank < results.size(); ++rank)
        for (int64_t i = owned[rank].offset; i < owned[rank].offset + owned[rank].size; ++i) {
          const auto at = static_cast<size_t>(i);
          ASSERT_NEAR(results[rank][at], exact_sum(data, at), 0x1p-24 * (size - 1) * magnitude(data, at));
        }
    }
  }
}

TEST(Collectives, AGatherBringsEverySliceToAll) {
  for (const auto& [size, reproducible, per_node] : {std::tuple{2, false, 0},
                                                     {3, false, 0},
                                                     {5, false, 0},
                                                     {16, false, 0},
                                                     {2, true, 0},
                                                     {4, true, 0},
                                                     {16, true, 0},
                                                     {4, true, 4},
                                                     {16, true, 8}}) {
    for (const int64_t n : kTreeLengths) {
      ThreadRanks ranks(size, {.reproducible = reproducible, .ranks_per_node = per_node});
      const std::vector<float> expected = made_up_gradient(99, static_cast<size_t>(n));
      const std::vector<Slice> owned = slices(ranks, n);
      Vectors data(static_cast<size_t>(size), std::vector<float>(static_cast<size_t>(n), NAN));
      for (size_t rank = 0; rank < data.size(); ++rank)
        std::ranges::copy(part(expected, owned[rank]), data[rank].begin() + owned[rank].offset);
      for (const std::vector<float>& result : run(ranks, Collective::Kind::all_gather, data))
        ASSERT_TRUE(same_bits(result, expected)) << size << " ranks, " << n << " elements";
    }
  }
}

TEST(Collectives, AGatherOfTwoBytesHasTheSlicesOfFloatsAndSendsHalf) {
  for (const auto& [size, reproducible, per_node] : {std::tuple{2, false, 0},
                                                     {3, false, 0},
                                                     {16, false, 0},
                                                     {2, true, 0},
                                                     {16, true, 0},
                                                     {4, true, 4},
                                                     {16, true, 8}}) {
    // Flat buffers consist of blocks of 64; the odd numbers of them make slices differ in length.
    for (const int64_t n : {0, 64, 128, 192, 64 * 5, 64 * 77, 64 * 1000}) {
      std::vector<uint16_t> expected(static_cast<size_t>(n));
      std::iota(expected.begin(), expected.end(), 1);
      const ThreadRanks::Options options{.reproducible = reproducible, .ranks_per_node = per_node};
      ThreadRanks ranks(size, options), of_floats(size, options);
      const std::vector<Slice> owned = slices(ranks, n);
      std::vector<std::vector<uint16_t>> data(static_cast<size_t>(size),
                                              std::vector<uint16_t>(static_cast<size_t>(n)));
      for (size_t rank = 0; rank < data.size(); ++rank)
        std::copy_n(expected.begin() + owned[rank].offset, owned[rank].size,
                    data[rank].begin() + owned[rank].offset);
      ranks.run_all([&](int rank, const std::unique_ptr<Communicator>& communicator) {
        communicator->start_all_gather(Exec{}, std::span(data[static_cast<size_t>(rank)]));
        communicator->wait(Exec{});
      });
      for (const std::vector<uint16_t>& result : data)
        ASSERT_EQ(result, expected) << size << " ranks, " << n << " elements";
      run(of_floats, Collective::Kind::all_gather, gradients(size, n));
      EXPECT_EQ(2 * ranks.max_sent(), of_floats.max_sent());
    }
  }
}

/// The largest relative error of rounding to this wire.
double rounding(Wire wire) { return wire == Wire::bf16 ? 0x1p-8 : wire == Wire::fp16 ? 0x1p-11 : 0x1p-24; }

TEST(Collectives, NarrowWiresRoundEachValueOnceAndTheSumOnce) {
  for (const Wire wire : {Wire::bf16, Wire::fp16}) {
    for (const int size : {2, 3, 4, 16}) {
      for (const int64_t n : kLengths) {
        ThreadRanks ranks(size, {});
        const Vectors data = gradients(size, n);
        const Vectors results = run(ranks, Collective::Kind::all_reduce, data, wire);
        for (size_t i = 0; i < static_cast<size_t>(n); ++i) {
          const double exact = exact_sum(data, i);
          // The smallest steps of fp16 are of 2^-24.
          const double limit = rounding(wire) * (magnitude(data, i) + std::abs(exact)) * 1.01 +
                               (size - 1) * 0x1p-24 * magnitude(data, i) + (size + 1) * 0x1p-25;
          ASSERT_NEAR(results[0][i], exact, limit) << size << " ranks, element " << i << " of " << n;
        }
        for (const std::vector<float>& result : results) ASSERT_TRUE(same_bits(result, results[0]));
      }
    }
  }
}

// On a GPU each exchange is a kernel, which takes longer than the messages of a small bucket.
TEST(Collectives, DirectOnesTakeOneExchangeAndTreesOneALevelOrNode) {
  using Kind = Collective::Kind;
  struct Case {
    Kind kind;
    Wire wire;
    bool reproducible;
    int64_t exchanges;
    int per_node = 0;
    int64_t n = 5003;
  };
  for (const Case& it : {Case{Kind::reduce_scatter, Wire::fp32, false, 1},
                         {Kind::all_gather, Wire::fp32, false, 1},
                         {Kind::all_reduce, Wire::bf16, false, 2},
                         {Kind::reduce_scatter, Wire::fp32, true, 3},
                         {Kind::all_gather, Wire::fp32, true, 3},
                         {Kind::all_reduce, Wire::fp32, true, 6},
                         {Kind::reduce_scatter, Wire::fp32, true, 1, 8},
                         {Kind::all_gather, Wire::fp32, true, 1, 8},
                         {Kind::all_reduce, Wire::fp32, true, 1, 8},
                         {Kind::all_reduce, Wire::fp32, true, 2, 8, 1 << 16},
                         {Kind::all_reduce, Wire::fp32, true, 3, 4},
                         {Kind::all_reduce, Wire::fp32, true, 4, 4, 1 << 16}}) {
    ThreadRanks ranks(8, {.reproducible = it.reproducible, .ranks_per_node = it.per_node});
    run(ranks, it.kind, gradients(8, it.n), it.wire);
    EXPECT_EQ(ranks.max_exchanges(), it.exchanges);
  }
}

TEST(Collectives, NarrowWiresSendHalf) {
  const int64_t n = 1 << 14;
  ThreadRanks ranks(4, {});
  run(ranks, Collective::Kind::all_reduce, gradients(4, n), Wire::bf16);
  EXPECT_EQ(ranks.max_sent(), n * 3 / 4);
}

TEST(Collectives, HierarchicalSumsAreCloseToTheExactOneAndTheSameOnEveryRank) {
  for (const Wire wire : {Wire::fp32, Wire::bf16}) {
    for (const auto& [size, per_node] : {std::pair{4, 2}, {6, 2}, {6, 3}, {16, 4}, {16, 8}, {4, 4}, {4, 1}}) {
      for (const int64_t n : kLengths) {
        ThreadRanks ranks(size, {.ranks_per_node = per_node});
        const Vectors data = gradients(size, n);
        const Vectors results = run(ranks, Collective::Kind::all_reduce, data, wire);
        for (size_t i = 0; i < static_cast<size_t>(n); ++i) {
          const double exact = exact_sum(data, i), all = magnitude(data, i);
          ASSERT_NEAR(results[0][i], exact, (rounding(wire) * 2.02 + size * 0x1p-24) * all);
        }
        for (const std::vector<float>& result : results) ASSERT_TRUE(same_bits(result, results[0]));
      }
    }
  }
}

TEST(Collectives, HierarchicalSumsSendLittleAcrossNodes) {
  // Of two nodes with 4 ranks each: 3/4 of the data twice within the node, and a quarter across, half out and
  // half back.
  const int64_t n = 1 << 14;
  ThreadRanks ranks(8, {.ranks_per_node = 4});
  run(ranks, Collective::Kind::all_reduce, gradients(8, n));
  EXPECT_EQ(ranks.max_sent(), 2 * n * 3 / 4 + n / 4);
}

std::string message_of(const std::exception_ptr& thrown) {
  try {
    if (thrown) std::rethrow_exception(thrown);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::lost);
    return error.what();
  }
  return "";
}

/// Starts `sums` all-reduces of 100 ones on every rank; returns the last results, and what was thrown.
std::pair<Vectors, std::vector<std::exception_ptr>> run_with(const std::vector<Fault>& faults, int sums,
                                                             std::chrono::milliseconds timeout) {
  ThreadRanks ranks(16, {.reproducible = true, .faults = faults, .timeout = timeout});
  Vectors results(16);
  auto thrown = ranks.run([&](int rank, const std::unique_ptr<Communicator>& communicator) {
    for (int i = 0; i < sums; ++i) {
      results[static_cast<size_t>(rank)].assign(100, 1.0f);
      communicator->start_all_reduce(Exec{}, results[static_cast<size_t>(rank)]);
    }
  });
  return {results, thrown};
}

TEST(ThreadRanks, ADelayedRankHoldsUpTheOthersAndChangesNothing) {
  const auto [results, thrown] =
      run_with({{.kind = Fault::Kind::delay, .rank = 3, .at = 1, .delay = std::chrono::milliseconds(50)}}, 3,
               std::chrono::seconds(60));
  for (const std::exception_ptr& each : thrown) EXPECT_EQ(message_of(each), "");
  for (const std::vector<float>& result : results) EXPECT_EQ(result, std::vector(100, 16.0f));
}

TEST(ThreadRanks, ADeadRankIsNamedByThoseThatWaitForIt) {
  const auto [results, thrown] =
      run_with({{.kind = Fault::Kind::death, .rank = 5, .at = 2}}, 3, std::chrono::seconds(60));
  EXPECT_THAT(message_of(thrown[5]), HasSubstr("rank 5 dies"));
  EXPECT_THAT(message_of(thrown[4]), HasSubstr("which is gone"));  // its partner
  EXPECT_THAT(message_of(thrown[4]), HasSubstr("waits for rank 5"));
}

TEST(ThreadRanks, ARankThatComesTooLateIsNamed) {
  const auto [results, thrown] =
      run_with({{.kind = Fault::Kind::delay, .rank = 9, .at = 0, .delay = std::chrono::minutes(5)}}, 1,
               std::chrono::milliseconds(50));
  EXPECT_THAT(message_of(thrown[8]), HasSubstr("waited too long for rank 9"));
}

TEST(ThreadRanks, ACorruptedResultIsWrongOnOneRankOnly) {
  const auto [results, thrown] =
      run_with({{.kind = Fault::Kind::corruption, .rank = 7, .at = 0, .element = 42, .bit = 22}}, 1,
               std::chrono::seconds(60));
  for (size_t rank = 0; rank < results.size(); ++rank)
    for (size_t i = 0; i < 100; ++i) EXPECT_EQ(results[rank][i], rank == 7 && i == 42 ? 24.0f : 16.0f);
}

}  // namespace
}  // namespace lockstep
