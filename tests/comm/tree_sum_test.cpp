#include "comm/tree_sum.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <limits>
#include <map>
#include <mutex>
#include <utility>

#include "src/core/thread_pool.h"
#include "tests/support/gradient_tree.h"

namespace lockstep {
namespace {

/// Messages between threads that play ranks.
class Mailboxes {
 public:
  void send(int from, int to, std::span<const float> message) {
    const std::scoped_lock lock(mutex_);
    boxes_[{from, to}].emplace_back(message.begin(), message.end());
    arrived_.notify_all();
  }
  std::vector<float> receive(int from, int to) {
    std::unique_lock lock(mutex_);
    auto& box = boxes_[{from, to}];
    arrived_.wait(lock, [&] { return !box.empty(); });
    std::vector<float> message = box.front();
    box.erase(box.begin());
    return message;
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::map<std::pair<int, int>, std::vector<std::vector<float>>> boxes_;
};

constexpr int64_t kWhole = 256;

struct ThreadTransport {
  static constexpr int64_t kWholeVectorElements = kWhole;
  Mailboxes& mailboxes;
  int rank;
  int64_t floats_sent = 0;

  void exchange(int partner, std::span<const float> send, std::span<float> receive) {
    mailboxes.send(rank, partner, send);
    floats_sent += static_cast<int64_t>(send.size());
    const std::vector<float> message = mailboxes.receive(partner, rank);
    ASSERT_EQ(message.size(), receive.size());
    std::copy(message.begin(), message.end(), receive.begin());
  }
  void add(std::span<float> destination, std::span<const float> source) {
    for (size_t i = 0; i < source.size(); ++i) destination[i] += source[i];
  }
};

/// Every rank's result; floats_sent receives the most that one rank has sent.
std::vector<std::vector<float>> sum_on_threads(std::vector<std::vector<float>> data,
                                               int64_t* floats_sent = nullptr) {
  const int size = static_cast<int>(data.size());
  Mailboxes mailboxes;
  std::mutex mutex;
  ThreadPool pool(size);
  pool.run([&](int rank) {
    ThreadTransport transport{mailboxes, rank};
    std::vector<float>& mine = data[static_cast<size_t>(rank)];
    std::vector<float> scratch(mine.size());
    tree_sum(transport, rank, size, 1, mine, scratch);
    const std::scoped_lock lock(mutex);
    if (floats_sent != nullptr) *floats_sent = std::max(*floats_sent, transport.floats_sent);
  });
  return data;
}

TEST(TreeSum, EqualsTheSequentialTreeOnEveryRank) {
  for (const int size : {1, 2, 4, 8, 16}) {
    // Both sides of the length from which vectors are halved, odd ones, and ones where only some levels are
    // halved.
    for (const int64_t n : {int64_t{0}, int64_t{1}, int64_t{3}, int64_t{17}, kWhole, kWhole + 1,
                            2 * kWhole + 3, 5 * kWhole + 7}) {
      SCOPED_TRACE(testing::Message() << size << " ranks, " << n << " elements");
      std::vector<std::vector<float>> data;
      for (int rank = 0; rank < size; ++rank) data.push_back(made_up_gradient(rank, static_cast<size_t>(n)));
      const std::vector<float> expected = oracle_tree_sum(data);
      for (const std::vector<float>& result : sum_on_threads(data)) ASSERT_TRUE(same_bits(result, expected));
    }
  }
}

TEST(TreeSum, SendsNoMoreThanAPlainAllReduce) {
  const int64_t n = 64 * kWhole;
  for (const int size : {2, 4, 8}) {
    int64_t sent = 0;
    sum_on_threads(std::vector(static_cast<size_t>(size), std::vector<float>(static_cast<size_t>(n))), &sent);
    EXPECT_EQ(sent, 2 * n * (size - 1) / size);  // the lower bound of any all-reduce
  }
}

TEST(TreeSum, NotANumberAndInfinityReachEveryRank) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto results = sum_on_threads({{1, infinity, infinity, 0, -0.0f},
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

}  // namespace
}  // namespace lockstep
