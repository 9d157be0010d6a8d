#include "io/import/divide_by_name.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "tests/io/data_files.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

struct NamedSamples {
  std::vector<std::string> names;
  std::vector<int32_t> class_of;
};

NamedSamples named_samples(const std::vector<int>& of_class) {
  NamedSamples samples;
  for (size_t label = 0; label < of_class.size(); ++label)
    for (int i = 0; i < of_class[label]; ++i) {
      samples.names.push_back(fmt::format("{}/{}.png", label, i));
      samples.class_of.push_back(static_cast<int32_t>(label));
    }
  return samples;
}

std::map<std::string, char> part_of(const NamedSamples& samples, uint64_t seed = 1) {
  const DividedSamples parts = divide_by_name(samples.names, samples.class_of, 0.2, 0.1, seed);
  std::map<std::string, char> part;
  for (const size_t i : parts.train) part[samples.names[i]] = 't';
  for (const size_t i : parts.validation) part[samples.names[i]] = 'v';
  for (const size_t i : parts.test) part[samples.names[i]] = 'e';
  return part;
}

TEST(DivideByName, GivesEachPartItsShareOfEachClass) {
  const NamedSamples samples = named_samples({100, 50, 7, 1, 1, 1, 1, 1, 200, 2});
  const DividedSamples parts = divide_by_name(samples.names, samples.class_of, 0.2, 0.1, 1);
  EXPECT_EQ(parts.train.size() + parts.validation.size() + parts.test.size(), samples.names.size());
  EXPECT_EQ(parts.validation.size(), 73u);  // of 364
  EXPECT_EQ(parts.test.size(), 36u);
  std::set<size_t> all;
  for (const auto* part : {&parts.train, &parts.validation, &parts.test})
    all.insert(part->begin(), part->end());
  EXPECT_EQ(all.size(), samples.names.size());
  const auto count = [&](const std::vector<size_t>& part, int32_t label) {
    return static_cast<double>(
        std::ranges::count_if(part, [&](size_t i) { return samples.class_of[i] == label; }));
  };
  for (const auto& [label, size] : {std::pair{0, 100.}, {1, 50.}, {2, 7.}, {8, 200.}}) {
    EXPECT_NEAR(count(parts.validation, label), 0.2 * size, 1.01) << label;
    EXPECT_NEAR(count(parts.test, label), 0.1 * size, 1.01) << label;
  }
}

TEST(DivideByName, MixesClassesInEachPart) {
  const NamedSamples samples = named_samples({500, 500});
  const DividedSamples parts = divide_by_name(samples.names, samples.class_of, 0.2, 0, 1);
  for (const auto* part : {&parts.train, &parts.validation}) {
    const auto half = part->begin() + static_cast<int64_t>(part->size() / 2);
    const auto first = std::count_if(part->begin(), half, [&](size_t i) { return samples.class_of[i] == 0; });
    EXPECT_NEAR(static_cast<double>(first), static_cast<double>(part->size()) / 4,
                2 * std::sqrt(static_cast<double>(part->size())));
  }
}

TEST(DivideByName, KeepsNearlyAllWhereTheyAreIfSomeAreAdded) {
  const NamedSamples before = named_samples({200, 300}), after = named_samples({206, 303});
  const std::map<std::string, char> old_parts = part_of(before), new_parts = part_of(after);
  int moved = 0;
  for (const auto& [name, part] : old_parts) moved += new_parts.at(name) != part ? 1 : 0;
  EXPECT_LE(moved, 9);
  const std::map<std::string, char> other = part_of(before, 2);
  int differ = 0;
  for (const auto& [name, part] : old_parts) differ += other.at(name) != part ? 1 : 0;
  EXPECT_GT(differ, 100);
}

TEST(DivideByName, DoesNotDependOnTheOrderOfTheNames) {
  NamedSamples samples = named_samples({20, 30});
  const std::map<std::string, char> parts = part_of(samples);
  std::ranges::reverse(samples.names);
  std::ranges::reverse(samples.class_of);
  EXPECT_EQ(part_of(samples), parts);
}

TEST(DivideByName, RefusesAnEmptyPart) {
  const NamedSamples samples = named_samples({3, 3});
  EXPECT_THAT(error_of([&] { divide_by_name(samples.names, {}, 0.05, 0, 1); }, ExitCode::usage),
              HasSubstr("--validation 0.05: of 6 images, that is none. Give it at least 0.17"));
  EXPECT_THAT(error_of([&] { divide_by_name(samples.names, {}, 0.5, 0.49, 1); }, ExitCode::usage),
              HasSubstr("leave none of 6 images to train on"));
}

}  // namespace
}  // namespace lockstep
