#include "io/file/metrics_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "src/core/text/json.h"
#include "tests/io/files.h"
#include "tests/io/limited_disk.h"
#include "tests/io/temporary_folder.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(MetricsWriter, WritesALineAtOnceAndNullForWhatIsNotFinite) {
  const TemporaryFolder folder;
  MetricsWriter writer(folder / "m.jsonl", std::nullopt);
  writer.write({{"event", "step"}, {"step", 1}, {"loss", std::nan("")}, {"lr", 0.1}});
  EXPECT_EQ(content_of(folder / "m.jsonl"), "{\"event\":\"step\",\"step\":1,\"loss\":null,\"lr\":0.1}\n");
  writer.write({{"event", "a\nb"}, {"x", std::numeric_limits<double>::infinity()}, {"bad", "\xff"}});
  EXPECT_THAT(content_of(folder / "m.jsonl"),
              HasSubstr("{\"event\":\"a\\nb\",\"x\":null,\"bad\":\"\xEF\xBF\xBD\"}\n"));
}

TEST(MetricsWriter, BeginsAnewOrContinuesBehindTheResumedStep) {
  const TemporaryFolder folder;
  const std::string path = folder / "m.jsonl";
  {
    MetricsWriter writer(path, std::nullopt);
    for (int step = 1; step <= 4; ++step) writer.write({{"event", "step"}, {"step", step}});
  }
  write_raw(path,
            content_of(path) + "{\"event\":\"step\",\"step\":5,\"lo");  // killed in the middle of a line
  {
    MetricsWriter writer(path, 2);
    writer.write({{"step", 3}});
  }
  const std::string two = "{\"event\":\"step\",\"step\":1}\n{\"event\":\"step\",\"step\":2}\n";
  EXPECT_EQ(content_of(path), two + "{\"step\":3}\n");
  write_raw(path, two + "{\"event\":\"step\",\"st");
  { MetricsWriter writer(path, 100); }
  EXPECT_EQ(content_of(path), two);
  { MetricsWriter writer(path, std::nullopt); }
  EXPECT_EQ(content_of(path), "");
  { MetricsWriter writer(folder / "none.jsonl", 7); }
  EXPECT_EQ(content_of(folder / "none.jsonl"), "");
}

TEST(MetricsWriter, SaysWhyItCannotOpenTheFile) {
  const TemporaryFolder folder;
  EXPECT_THAT(data_error_of([&] { MetricsWriter(folder / "no/m.jsonl", std::nullopt); }),
              AllOf(HasSubstr("no/m.jsonl"), HasSubstr("No such file or directory")));
}

TEST(MetricsWriter, DropsWholeLinesWithOneWarningWhileTheDiskIsFull) {
  const TemporaryFolder folder;
  MetricsWriter writer(folder / "m.jsonl", std::nullopt);
  // Longer than the warning, which lands in a file under the same limit.
  writer.write({{"step", 1}, {"note", std::string(4000, 'x')}});
  const std::string before = content_of(folder / "m.jsonl");
  testing::internal::CaptureStderr();
  {
    const FileSizeLimit limit(before.size() + 5);
    writer.write({{"step", 2}});
    writer.write({{"step", 3}});
  }
  writer.write({{"step", 4}});
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_EQ(content_of(folder / "m.jsonl"), before + "{\"step\":4}\n");
  EXPECT_THAT(log, AllOf(HasSubstr("m.jsonl: cannot write: File too large"), HasSubstr("2 lines were lost")));
  EXPECT_EQ(log.find("cannot write"), log.rfind("cannot write"));
}

}  // namespace
}  // namespace lockstep
