#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "io/dataset/dataset.h"
#include "tests/io/data_files.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(Dataset, SaysWhatIsWrongWithTheData) {
  const TemporaryFolder folder;
  const auto error = [&](const std::string& x, const std::string& y, const DatasetOptions& options = {}) {
    return error_of([&] { open_dataset({{folder / "a.h5"}, x, y}, options); });
  };
  const std::string path = folder / "a.h5";
  put(path, "/x", {3, 2}, counting<float>(6));
  put(path, "/y", {3}, std::vector<int64_t>{0, 9, 1});
  put(path, "/nan", {3, 2}, std::vector<float>{0, 1, 2, 3, 4, NAN});
  put(path, "/inf", {3, 2}, std::vector<double>{0, 1, -INFINITY, 3, 4, 5});
  put(path, "/half", {3, 2}, std::vector<float>{0, 1, 2, 3, 4, 5});
  put(path, "/negative", {3}, std::vector<int64_t>{0, -1, 1});
  put(path, "/huge", {3}, std::vector<int64_t>{0, 1, (int64_t{1} << 32) + 1});
  put(path, "/parts", {3}, std::vector<float>{0, 1.5, 1});
  put(path, "/nanlabel", {3}, std::vector<float>{0, NAN, 1});
  put(path, "/scalar", {}, std::vector<float>{1});
  put(path, "/none", {0, 2}, std::vector<float>{});
  put(path, "/void", {3, 0}, std::vector<float>{});
  put(path, "/sums", {3, 2}, std::vector<float>{0, 1, 1, 1, 1, 0});
  put(path, "/long", {4}, std::vector<int64_t>{0, 1, 2, 3});
  EXPECT_THAT(error("/z", "/y"), AllOf(HasSubstr("a.h5 has no data set /z. It has: "), HasSubstr("/x (3, 2)"),
                                       HasSubstr("a.h5\"], x = \"/NAME\", y = \"/NAME\" }.")));
  EXPECT_THAT(error("/x", "/long"), AllOf(HasSubstr("/x has 3 samples"), HasSubstr("/long has 4")));
  EXPECT_THAT(error("/nan", "/y"),
              HasSubstr("a.h5:/nan: sample 2 holds NaN or infinity (value 1 of the sample)"));
  EXPECT_THAT(error("/inf", "/y"),
              HasSubstr("a.h5:/inf: sample 1 holds NaN or infinity (value 0 of the sample)"));
  EXPECT_THAT(error("/x", "/negative"),
              HasSubstr("a.h5:/negative: sample 1 has the label -1; labels must be 0 to 1048575"));
  EXPECT_THAT(error("/x", "/huge"), HasSubstr("sample 2 has the label 4294967297"));
  DatasetOptions five;
  five.classes = 5;
  EXPECT_THAT(error("/x", "/y", five),
              HasSubstr("sample 1 has the label 9; labels must be 0 to 4 (5 classes)"));
  EXPECT_THAT(error("/x", "/parts", five),
              HasSubstr("sample 1 has the label 1.5, which is not a whole number"));
  EXPECT_THAT(error("/x", "/nanlabel", five), HasSubstr("sample 1 has the label nan"));
  EXPECT_THAT(error("/x", "/sums", five), HasSubstr("has targets of 2 classes, but 5 are expected"));
  EXPECT_THAT(error("/x", "/sums", {.task = TargetTask::classes}),
              HasSubstr("sample 1: its 2 targets sum to 2, not to 1"));
  EXPECT_THAT(error("/scalar", ""), HasSubstr("is a single number"));
  EXPECT_THAT(error("/none", ""), HasSubstr("has no samples: its shape is (0, 2)"));
  EXPECT_THAT(error("/void", ""), HasSubstr("has samples without values"));
  // A streamed data set finds NaN when it is read, not when it is opened.
  DatasetOptions streamed;
  streamed.memory_budget = 0;
  const auto data = open_dataset({{path}, "/nan", ""}, streamed);
  EXPECT_THAT(error_of([&] { all_x<float>(*data); }), HasSubstr("/nan: sample 2 holds NaN"));
}

}  // namespace
}  // namespace lockstep
