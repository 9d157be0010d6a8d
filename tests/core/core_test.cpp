#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "src/core/error.h"
#include "src/core/hash.h"
#include "src/core/rng.h"
#include "src/core/text/suggest.h"
#include "src/core/thread_pool.h"

namespace lockstep {
namespace {

// Known answers of Random123's kat_vectors for philox4x32-10.
TEST(Philox, MatchesThePublishedKnownAnswers) {
  const Random4 zeros = philox(0, 0, 0);
  EXPECT_EQ(zeros.word[0], 0x6627e8d5u);
  EXPECT_EQ(zeros.word[1], 0xe169c58du);
  EXPECT_EQ(zeros.word[2], 0xbc57ac4cu);
  EXPECT_EQ(zeros.word[3], 0x9b00dbd8u);
  const Random4 ones = philox(~0ull, ~0ull, ~0ull);
  EXPECT_EQ(ones.word[0], 0x408f276du);
  EXPECT_EQ(ones.word[1], 0x41c83b0eu);
  EXPECT_EQ(ones.word[2], 0xa20bc7c6u);
  EXPECT_EQ(ones.word[3], 0x6d5451fdu);
}

TEST(RandomStream, NormalHasZeroMeanAndUnitVariance) {
  RandomStream stream(7, 1);
  double sum = 0, squares = 0;
  constexpr int kCount = 200000;
  for (int i = 0; i < kCount; ++i) {
    const double x = stream.next_normal();
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / kCount, 0.0, 0.01);
  EXPECT_NEAR(squares / kCount, 1.0, 0.02);
}

TEST(RandomStream, NextBelowIsUniform) {
  RandomStream stream(3, 9);
  std::vector<int> counts(7);
  for (int i = 0; i < 70000; ++i) ++counts[stream.next_below(7)];
  for (const int count : counts) EXPECT_NEAR(count, 10000, 500);
}

TEST(Hash, StreamingEqualsOneShot) {
  std::vector<std::byte> bytes(100000);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 31);
  StreamingHash hash;
  hash.update(std::span(bytes).first(12345));
  hash.update(std::span(bytes).subspan(12345));
  EXPECT_EQ(hash.digest(), hash_bytes(bytes));
  EXPECT_EQ(hash_name(""), 0x2d06800538d394c2ull);  // the published XXH3-64 of no bytes
}

TEST(Suggest, OffersTheNearestNameOrAllOfThem) {
  const std::vector<std::string> known = {"momentum", "nesterov", "lr"};
  EXPECT_EQ(suggestion("momentun", known), ". Did you mean 'momentum'?");
  EXPECT_EQ(nearest_name("rl", known), "lr");
  EXPECT_EQ(nearest_name("trian", std::vector<std::string>{"eval", "train"}), "train");
  EXPECT_EQ(suggestion("zzzzzz", known), ". Known: momentum, nesterov, lr.");
}

TEST(Suggest, TakesTheSameWordsInAnotherSpellingFirst) {
  const std::vector<std::string> known = {"max_pool2d", "relu"};
  EXPECT_EQ(meant_name("MaxPool2D", known), "max_pool2d");
  EXPECT_EQ(meant_name("max-pool-2d", known), "max_pool2d");
  EXPECT_EQ(meant_name("ReLU", known), "relu");
  EXPECT_EQ(meant_name("zzz", known), "");
}

TEST(Suggest, ASynonymCountsWhereWhatItMeansIsKnown) {
  const Synonym synonyms[] = {{"size", "outputs"}, {"size", "kernel"}, {"softmax", "", "leave it out."}};
  const std::vector<std::string> linear = {"outputs", "bias"}, conv = {"filters", "kernel"};
  EXPECT_EQ(suggestion("Size", linear, synonyms), ". Did you mean 'outputs'?");
  EXPECT_EQ(suggestion("size", conv, synonyms), ". Did you mean 'kernel'?");
  EXPECT_EQ(suggestion("softmax", conv, synonyms), ": leave it out.");
  EXPECT_EQ(suggestion("size", std::vector<std::string>{"momentum"}, synonyms), ". Known: momentum.");
}

TEST(ThreadPool, RunsEveryLaneAndRethrowsAFailure) {
  ThreadPool pool(3);
  std::atomic<int> lanes = 0;
  for (int round = 0; round < 100; ++round) pool.run([&](int lane) { lanes += lane + 1; });
  EXPECT_EQ(lanes, 600);
  EXPECT_THROW(pool.run([](int lane) {
    if (lane == 2) fail(ExitCode::data, "lane {}", lane);
  }),
               Error);
  pool.run([&](int) { ++lanes; });
  EXPECT_EQ(lanes, 603);
}

TEST(ThreadPool, SaysHowManyThreadsTheSystemAllows) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto with_little_memory = [] {
    const rlimit limit{rlim_t{1} << 30, rlim_t{1} << 30};  // of address space: stacks of about 100 threads
    setrlimit(RLIMIT_AS, &limit);
    try {
      ThreadPool(2000);
    } catch (const Error& error) {
      std::fprintf(stderr, "%s\n", error.what());
      std::_Exit(static_cast<int>(error.code()));
    }
    std::_Exit(0);
  };
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer needs more address space than the limit leaves";
#endif
  EXPECT_EXIT(with_little_memory(), testing::ExitedWithCode(2),
              "cannot start 2000 threads: the system allows");
}

TEST(Error, InvariantNamesTheFileAndTheCondition) {
  try {
    INVARIANT(1 == 2, "because {}", 3);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::bug);
    EXPECT_THAT(e.what(), testing::MatchesRegex("tests/core/core_test.cpp:[0-9]+: 1 == 2: because 3"));
  }
}

}  // namespace
}  // namespace lockstep
