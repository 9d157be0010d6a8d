#include "io/repack/assign_parts.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "tests/io/data_files.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

const std::vector<SplitPart> kParts{{"train", 0.8}, {"validation", 0.1}, {"test", 0.1}};

TEST(AssignParts, GivesEachPartItsShareOfAllAndOfEachClass) {
  // Classes of 1 to 400 samples, interleaved.
  std::vector<int64_t> labels;
  for (int64_t label = 0; label < 20; ++label)
    labels.insert(labels.end(), static_cast<size_t>(1 + label * label), label == 3 ? -1 : label);
  const auto samples = static_cast<int64_t>(labels.size());
  const auto shuffled = [&](int64_t sample) { return labels[static_cast<size_t>(sample * 7 % samples)]; };
  ASSERT_NE(samples % 7, 0);
  for (const uint64_t seed : {1u, 2u, 3u}) {
    const std::vector<uint8_t> part_of = assign_parts(samples, shuffled, kParts, seed);
    std::map<int64_t, std::vector<int64_t>> counts;
    std::vector<int64_t> all(3);
    for (int64_t sample = 0; sample < samples; ++sample) {
      std::vector<int64_t>& of_class = counts[shuffled(sample)];
      of_class.resize(3);
      ++of_class[part_of[static_cast<size_t>(sample)]];
      ++all[part_of[static_cast<size_t>(sample)]];
    }
    for (size_t part = 0; part < 3; ++part) {
      EXPECT_NEAR(static_cast<double>(all[part]), kParts[part].share * static_cast<double>(samples), 1);
      for (const auto& [label, of_class] : counts) {
        const auto size = static_cast<double>(of_class[0] + of_class[1] + of_class[2]);
        EXPECT_NEAR(static_cast<double>(of_class[part]), kParts[part].share * size, 2) << label;
      }
    }
  }
}

TEST(AssignParts, IsRandomByTheSeedAlone) {
  const auto one = assign_parts(1000, nullptr, kParts, 1);
  EXPECT_EQ(assign_parts(1000, nullptr, kParts, 1), one);
  const auto other = assign_parts(1000, nullptr, kParts, 2);
  EXPECT_NE(other, one);
  EXPECT_EQ(std::ranges::count(one, 0), 800);
  // 1000 draws with 0.66 chance of the same part by accident.
  int64_t same = 0;
  for (size_t i = 0; i < one.size(); ++i) same += one[i] == other[i] ? 1 : 0;
  EXPECT_NEAR(static_cast<double>(same), 660, 60);
  // Nor does the place decide: each tenth of the samples has about a tenth of each part.
  for (size_t begin = 0; begin < 1000; begin += 100)
    EXPECT_NEAR(static_cast<double>(std::count(one.begin() + static_cast<int64_t>(begin),
                                               one.begin() + static_cast<int64_t>(begin) + 100, 1)),
                10, 10);
}

TEST(AssignParts, RefusesAnEmptyPart) {
  EXPECT_THAT(error_of(
                  [] {
                    assign_parts(10, nullptr, {{"train", 0.99}, {"test", 0.01}}, 1);
                  },
                  ExitCode::usage),
              HasSubstr("--parts test=0.01: of 10 samples, that is none. Give it at least 0.1."));
}

}  // namespace
}  // namespace lockstep
