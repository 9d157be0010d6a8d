#include "io/statistics/data_statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "src/core/rng.h"
#include "tests/io/data_files.h"
#include "tests/io/text_files.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

constexpr int64_t kSamples = 500, kChannels = 3;

std::vector<float> normal_values(int64_t count) {
  RandomStream random(5, 6);
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i)
    values.push_back(static_cast<float>(static_cast<double>(i % kChannels) * 100 + random.next_normal()));
  return values;
}

class StatisticsOfData : public testing::Test {
 protected:
  std::unique_ptr<Dataset> open(const DatasetOptions& options = {
                                    .memory_budget = 0, .probe = false, .finite = false}) const {
    return open_xy(path, options);
  }

  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
};

TEST_F(StatisticsOfData, AreThoseOfTheDefinition) {
  const std::vector<float> values = normal_values(kSamples * 4 * kChannels);
  put(path, "/x", {kSamples, 4, kChannels}, values, {{7, 2, 3}, 1});
  put(path, "/y", {kSamples}, counting<int64_t>(kSamples, 7));
  const DataStatistics result = measure_statistics(*open(), {});
  for (size_t c = 0; c < kChannels; ++c) {
    std::vector<double> of_channel;
    for (size_t i = c; i < values.size(); i += kChannels) of_channel.push_back(values[i]);
    double mean = 0, squares = 0;
    for (const double value : of_channel) mean += value / static_cast<double>(of_channel.size());
    for (const double value : of_channel) squares += (value - mean) * (value - mean);
    EXPECT_EQ(result.x.moments.count(c), kSamples * 4);
    EXPECT_NEAR(result.x.moments.mean(c), mean, 1e-10);
    EXPECT_NEAR(result.x.moments.deviation(c), std::sqrt(squares / static_cast<double>(of_channel.size())),
                1e-10);
    EXPECT_EQ(result.x.moments.min(c), std::ranges::min(of_channel));
    EXPECT_EQ(result.x.moments.max(c), std::ranges::max(of_channel));
    EXPECT_EQ(result.x.not_finite[c], 0);
    int64_t counted = 0;
    for (int64_t bin = 0; bin < result.x.histograms[c].bins(); ++bin)
      counted += result.x.histograms[c].count(bin);
    EXPECT_EQ(counted, kSamples * 4);
  }
  EXPECT_EQ(result.classes, (std::vector<int64_t>{72, 72, 72, 71, 71, 71, 71}));
  EXPECT_EQ(result.y.moments.channels(), 0u);
}

TEST_F(StatisticsOfData, HaveTheSameBitsOnAnyNumberOfThreads) {
  put(path, "/x", {kSamples, 4, kChannels}, normal_values(kSamples * 4 * kChannels), {{3, 4, 3}, 1});
  put(path, "/y", {kSamples, 2}, normal_values(kSamples * 2));
  const auto dataset = open();
  std::vector<double> first;
  for (const int threads : {1, 2, 5}) {
    int64_t done = 0;
    const DataStatistics result =
        measure_statistics(*dataset, {.threads = threads, .progress = [&](int64_t now, int64_t all) {
                                        EXPECT_GT(now, done);
                                        EXPECT_EQ(all, kSamples * 4 * kChannels * 4);
                                        done = now;
                                      }});
    EXPECT_EQ(done, kSamples * 4 * kChannels * 4);
    std::vector<double> numbers(kChannels * ChannelMoments::kNumbers);
    result.x.moments.write(numbers.data());
    numbers.push_back(result.y.moments.mean(1));
    for (int64_t bin = 0; bin < result.x.histograms[0].bins(); ++bin)
      numbers.push_back(static_cast<double>(result.x.histograms[0].count(bin)));
    if (first.empty()) first = numbers;
    EXPECT_EQ(numbers, first) << threads;
  }
}

TEST_F(StatisticsOfData, CountWhatIsNotFiniteAndLeaveItOut) {
  std::vector<float> values{1, 2, 3, 4, 5, 6};
  values[1] = std::numeric_limits<float>::quiet_NaN();
  values[4] = -std::numeric_limits<float>::infinity();
  put(path, "/x", {2, 3}, values);
  put(path, "/y", {2, 2}, std::vector<float>{0.5f, -1, 1.5f, -1});
  const DataStatistics result = measure_statistics(*open(), {});
  EXPECT_EQ(result.x.not_finite, (std::vector<int64_t>{0, 2, 0}));
  EXPECT_EQ(result.x.moments.count(1), 0);
  EXPECT_EQ(result.x.moments.over_all_channels().mean(0), (1. + 3 + 4 + 6) / 4);
  EXPECT_EQ(result.y.moments.mean(0), 1);
  EXPECT_EQ(result.y.moments.deviation(1), 0);
  EXPECT_THAT(error_of([&] {
                const auto checked = open({.memory_budget = 0, .probe = false});
                measure_statistics(*checked, {.threads = 2});
              }),
              HasSubstr("NaN or infinity"));
}

TEST_F(StatisticsOfData, LeaveOutThePaddingOfSequences) {
  std::vector<std::vector<float>> sequences = {{5, 7, 9}, {1}, {}, {3, 5}, {2}};
  std::vector<hvl_t> elements;
  for (auto& sequence : sequences) elements.push_back({sequence.size(), sequence.data()});
  {
    const hdf5::Lock lock;
    const hdf5::Id type(H5Tvlen_create(H5T_NATIVE_FLOAT));
    put_elements(path, "/x", {5}, type.get(), elements.data());
  }
  // Of another file, no sequence is shorter than it is read.
  const std::string full = folder / "b.h5";
  std::vector<float> whole = {4, 4, 4};
  const hvl_t element{whole.size(), whole.data()};
  {
    const hdf5::Lock lock;
    const hdf5::Id type(H5Tvlen_create(H5T_NATIVE_FLOAT));
    put_elements(full, "/x", {1}, type.get(), &element);
  }
  for (const int64_t memory : {int64_t{0}, int64_t{1} << 20}) {
    const auto data =
        open_dataset({{path, full}, "/x", ""}, {.memory_budget = memory, .probe = false, .finite = false});
    const DataStatistics result = measure_statistics(*data, {.threads = 2});
    EXPECT_EQ(result.lengths, (std::map<int64_t, int64_t>{{0, 1}, {1, 2}, {2, 1}, {3, 2}}));
    EXPECT_EQ(result.x.moments.count(0), 5);
    EXPECT_EQ(result.x.moments.count(1), 3);
    EXPECT_EQ(result.x.moments.count(2), 2);
    EXPECT_DOUBLE_EQ(result.x.moments.mean(0), (5. + 1 + 3 + 2 + 4) / 5);
    EXPECT_EQ(result.x.moments.min(0), 1);
    EXPECT_EQ(result.x.moments.over_all_channels().min(0), 1);
    EXPECT_EQ(result.x.not_finite, (std::vector<int64_t>{0, 0, 0}));
    int64_t binned = 0;
    for (const Histogram& histogram : result.x.histograms)
      for (int64_t bin = 0; bin < histogram.bins(); ++bin) binned += histogram.count(bin);
    EXPECT_EQ(binned, 10);
    // A part of a data set has the lengths of its samples.
    const std::shared_ptr<const Dataset> shared =
        open_dataset({{path, full}, "/x", ""}, {.memory_budget = memory, .probe = false, .finite = false});
    const Split parts = split_dataset(shared, 0.5, 1);
    std::map<int64_t, int64_t> lengths = measure_statistics(*parts.train, {}).lengths;
    for (const auto& [length, count] : measure_statistics(*parts.validation, {}).lengths)
      lengths[length] += count;
    EXPECT_EQ(lengths, result.lengths);
  }
}

TEST_F(StatisticsOfData, CountClassesAtEachPosition) {
  put(path, "/x", {2, 2, 2, 1}, counting<uint8_t>(8));
  put(path, "/y", {2, 2, 2}, std::vector<int32_t>{0, 1, 1, 2, 255, 0, 0, 0});
  const auto dataset = open({.memory_budget = 0, .ignored_label = 255, .probe = false});
  const DataStatistics result = measure_statistics(*dataset, {.channels_first = true});
  EXPECT_EQ(result.classes, (std::vector<int64_t>{4, 2, 1}));
  EXPECT_EQ(result.ignored, 1);
  EXPECT_EQ(result.x.moments.channels(), 2u);
  EXPECT_EQ(result.x.moments.mean(1), (2. + 3 + 6 + 7) / 4);
}

}  // namespace
}  // namespace lockstep
