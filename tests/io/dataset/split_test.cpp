#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "io/dataset/dataset.h"
#include "tests/io/data_files.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

TEST(Split, PartsAreDisjointCompleteAndSeeded) {
  const TemporaryFolder folder;
  put(folder / "a.h5", "/x", {101, 1}, counting<int32_t>(101));
  put(folder / "a.h5", "/y", {101}, counting<int32_t>(101, 4));
  const std::shared_ptr<const Dataset> whole = open_xy(folder / "a.h5");
  const Split split = split_dataset(whole, 0.2, 7);
  EXPECT_EQ(split.validation->size(), 20);
  EXPECT_EQ(split.train->size(), 81);
  EXPECT_EQ(split.train->classes(), 4);
  std::vector<float> all = all_x<float>(*split.validation);
  const std::vector<float> validation = all, train = all_x<float>(*split.train);
  all.insert(all.end(), train.begin(), train.end());
  std::sort(all.begin(), all.end());
  EXPECT_EQ(all, counting<float>(101));
  const std::vector<int32_t> labels = all_y<int32_t>(*split.validation);
  for (size_t i = 0; i < 20; ++i) EXPECT_EQ(labels[i], static_cast<int32_t>(validation[i]) % 4);
  EXPECT_EQ(all_x<float>(*split_dataset(whole, 0.2, 7).validation), validation);
  EXPECT_NE(all_x<float>(*split_dataset(whole, 0.2, 8).validation), validation);
  EXPECT_NE(split.train->fingerprint(), split.validation->fingerprint());
  EXPECT_NE(split_dataset(whole, 0.2, 8).train->fingerprint(), split.train->fingerprint());
  for (const double fraction : {0.0, 1.0, -0.5, 0.001, 0.999, std::numeric_limits<double>::quiet_NaN()})
    EXPECT_THAT(error_of([&] { split_dataset(whole, fraction, 7); }, ExitCode::usage),
                HasSubstr("data.validation_split = "));
}

}  // namespace
}  // namespace lockstep
