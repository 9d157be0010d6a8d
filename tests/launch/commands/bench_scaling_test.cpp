#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "src/core/text/json.h"
#include "tests/io/temporary_folder.h"
#include "tests/support/binary.h"
#include "tests/support/run_program.h"

// The command that starts the ranks itself.

namespace lockstep {
namespace {

std::vector<std::string> scaling(std::vector<std::string> more) {
  more.insert(more.begin(),
              {lockstep_binary(), "bench", "scaling", "--device", "cpu", "--set", "model.name=mlp", "--set",
               "model.hidden=[16]", "--set", "train.global_batch=12"});
  return more;
}

std::string contents(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(BenchScaling, MeasuresPredictsAndWritesItDown) {
  const TemporaryFolder folder;
  const ProgramResult result =
      run_program(scaling({"--ranks", "2,1,3", "--repeats", "2", "--steps", "10", "--predict", "16,4",
                           "--csv", "s.csv", "--plot", "s.svg", "--json"}),
                  folder.path());
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto json = parse_json(result.out);

  // One rank is the same in both modes and runs once for both; the points come in rising order.
  EXPECT_THAT(result.err, testing::HasSubstr("run 10 of 10: "));
  ASSERT_EQ(json["points"].size(), 6u);
  for (size_t i = 0; i < 6; ++i) {
    const auto& point = json["points"][i];
    const bool weak = i < 3;
    const int ranks = static_cast<int>(i % 3) + 1;
    EXPECT_EQ(point["mode"], weak ? "weak" : "strong");
    EXPECT_EQ(point["ranks"], ranks);
    EXPECT_EQ(point["global_batch"], weak ? 12 * ranks : 12);
    EXPECT_EQ(point["threads"], json["points"][0]["threads"]) << "as many on every number of ranks";
    const double speed = point["samples_per_s"];
    EXPECT_LE(point["samples_per_s_min"].get<double>(), speed);
    EXPECT_GE(point["samples_per_s_max"].get<double>(), speed);
    EXPECT_NEAR(point["speed_up"].get<double>(), speed / json["points"][0]["samples_per_s"].get<double>(),
                1e-9);
    for (const char* share : {"compute_ms", "wait_ms", "communication_ms", "compute_spread_ms"})
      EXPECT_GE(point[share].get<double>(), 0) << share;
    EXPECT_GT(point["compute_ms"].get<double>(), 0);
  }
  EXPECT_EQ(json["points"][0]["wait_ms"], 0);

  EXPECT_EQ(json["held_out"].size(), 6u);
  // Strong scaling of 12 samples ends at 12 ranks.
  ASSERT_EQ(json["predictions"].size(), 3u);
  EXPECT_EQ(json["predictions"][1]["ranks"], 16);
  EXPECT_EQ(json["predictions"][2]["ranks"], 4);
  for (const auto& point : json["predictions"])
    EXPECT_NEAR(point["step_ms"].get<double>(),
                point["compute_ms"].get<double>() + point["wait_ms"].get<double>() +
                    point["exposed_ms"].get<double>(),
                1e-9);
  EXPECT_THAT(contents(folder / "s.csv"), testing::HasSubstr("\nmeasured,strong,3,"));
  EXPECT_THAT(contents(folder / "s.svg"), testing::EndsWith("</svg>\n"));
}

TEST(BenchScaling, PredictsADescribedClusterWithoutRunningAnything) {
  const TemporaryFolder folder;
  const ProgramResult result =
      run_program({lockstep_binary(), "bench", "scaling", "--fabric",
                   LOCKSTEP_SOURCE_DIR "/examples/dgx-a100.toml", "--predict", "1,8,1024,4096", "--json"},
                  folder.path());
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto json = parse_json(result.out);
  EXPECT_TRUE(json["points"].empty());
  const auto& points = json["predictions"];
  ASSERT_EQ(points.size(), 4u);
  EXPECT_DOUBLE_EQ(points[0]["efficiency"], 1);
  EXPECT_NEAR(points[0]["step_ms"].get<double>(), 103.6, 1e-9);
  for (size_t i = 1; i < 4; ++i) {
    EXPECT_LT(points[i]["efficiency"].get<double>(), points[i - 1]["efficiency"].get<double>());
    EXPECT_GT(points[i]["exposed_ms"].get<double>(), points[i - 1]["exposed_ms"].get<double>());
    EXPECT_LT(points[i]["exposed_ms"].get<double>(), points[i]["communication_ms"].get<double>());
  }
}

TEST(BenchScaling, SaysWhatARunSaidWhenItFails) {
  const TemporaryFolder folder;
  ProgramResult result =
      run_program(scaling({"--ranks", "2", "--steps", "5", "--set", "train.micro_batch=5"}), folder.path());
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err,
              testing::HasSubstr("error: bench step ended with 2 on 2 ranks: train.global_batch = 24 "
                                 "does not divide"));
  result = run_program(scaling({"--ranks", "1", "--launcher", "no-such-launcher -x"}), folder.path());
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, testing::HasSubstr("error: cannot start no-such-launcher: "));
  result = run_program(scaling({"--ranks", "1", "--launcher", "echo"}), folder.path());
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, testing::HasSubstr("echo printed something other than the JSON of bench step"));
}

TEST(BenchScaling, IsNotStartedByALauncher) {
  const TemporaryFolder folder;
  const ProgramResult result = run_program(lockstep_command(2, {"bench", "scaling"}), folder.path());
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, testing::HasSubstr("starts the ranks itself and was itself started by mpirun"));
}

}  // namespace
}  // namespace lockstep
