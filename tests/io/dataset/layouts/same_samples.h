#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "tests/io/data_files.h"

namespace lockstep {

/// x of samples far apart and out of order, some of them twice, as bytes, read by `threads` threads at once,
/// which must all find the same.
inline std::vector<std::byte> samples_of(const Dataset& data, int threads) {
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < data.size(); ++i) indices.push_back(i * 7919 % data.size());
  indices.push_back(data.size() - 1);
  indices.push_back(data.size() - 1);
  const size_t sample = static_cast<size_t>(data.x_shape().elements()) * size_of(data.x_dtype());
  std::vector<std::vector<std::byte>> found(static_cast<size_t>(threads),
                                            std::vector<std::byte>(indices.size() * sample));
  std::vector<std::thread> readers;
  for (auto& own : found)
    readers.emplace_back([&] {
      constexpr size_t kBatch = 32;
      for (size_t first = 0; first < indices.size(); first += kBatch) {
        const size_t count = std::min(kBatch, indices.size() - first);
        data.read(std::span(indices).subspan(first, count), own.data() + first * sample, nullptr);
      }
    });
  for (std::thread& reader : readers) reader.join();
  for (const auto& own : found) EXPECT_EQ(own, found[0]);
  return found[0];
}

/// Two sources have the same samples, bit for bit: in memory, streamed with room for one block and with room
/// for several, by one thread and by four.
inline void expect_same_samples(const DataSource& source, const DataSource& plain) {
  for (const int64_t budget : {int64_t{1} << 30, int64_t{1}, int64_t{60'000}}) {
    SCOPED_TRACE(budget);
    const DatasetOptions options{.memory_budget = budget, .probe = false};
    const auto data = open_dataset(source, options), expected = open_dataset(plain, options);
    ASSERT_EQ(data->size(), expected->size());
    EXPECT_EQ(to_string(data->x_shape()), to_string(expected->x_shape()));
    ASSERT_EQ(data->x_dtype(), expected->x_dtype());
    const std::vector<std::byte> wanted = samples_of(*expected, 1);
    EXPECT_TRUE(samples_of(*data, 1) == wanted);
    EXPECT_TRUE(samples_of(*data, 4) == wanted);
  }
}

}  // namespace lockstep
