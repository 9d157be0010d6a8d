#include "launch/scaling/fabric_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <numeric>

#include "src/core/error.h"
#include "tests/io/temporary_folder.h"

namespace lockstep {
namespace {

constexpr const char* kLinks =
    "gpus_per_node = 8\nnvlink_gb_per_s = 450\nnvlink_latency_us = 3.5\nnetwork_gb_per_s = 50\n"
    "network_latency_us = 14\n";

FabricFile read(const std::string& text) {
  const TemporaryFolder folder;
  const std::string path = folder / "fabric.toml";
  std::ofstream(path) << text;
  return read_fabric_file(path);
}

/// What is wrong with a file, without its path.
std::string mistake(const std::string& text) {
  try {
    read(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    const std::string message = error.what();
    return message.substr(message.find("fabric.toml") + 11);
  }
  return "none";
}

TEST(FabricFile, LinksAreInSecondsAndBytes) {
  const FabricFile file = read(kLinks);
  EXPECT_EQ(file.fabric.ranks_per_node, 8);
  EXPECT_DOUBLE_EQ(file.fabric.inside.latency, 3.5e-6);
  EXPECT_DOUBLE_EQ(file.fabric.inside.seconds_per_byte, 1 / 450e9);
  EXPECT_DOUBLE_EQ(file.fabric.between.latency, 14e-6);
  EXPECT_DOUBLE_EQ(file.fabric.between.seconds_per_byte, 1 / 50e9);
  EXPECT_FALSE(file.step);
}

TEST(FabricFile, DescribesAStep) {
  const FabricFile file = read(std::string(kLinks) +
                               "samples = 64\ncompute_ms = 16\nspread_percent = 2\nparameters = 1000000\n"
                               "bucket_mib = 1.5\n");
  ASSERT_TRUE(file.step);
  EXPECT_EQ(file.step->samples, 64);
  const StepWork work = file.step->model.work(64);
  EXPECT_DOUBLE_EQ(work.compute_seconds, 16e-3);
  EXPECT_DOUBLE_EQ(work.spread_seconds, 0.32e-3);
  EXPECT_TRUE(work.overlap);
  EXPECT_DOUBLE_EQ(std::accumulate(work.bucket_bytes.begin(), work.bucket_bytes.end(), 0.0), 4e6);
  for (const double bytes : work.bucket_bytes) EXPECT_LE(bytes, 1.5 * 0x1p20);
}

TEST(FabricFile, TheExampleIsOne) {
  const FabricFile file = read_fabric_file(LOCKSTEP_SOURCE_DIR "/examples/dgx-a100.toml");
  ASSERT_TRUE(file.step);
  EXPECT_EQ(file.fabric.ranks_per_node, 8);
}

TEST(FabricFile, MistakesAreNamedWithTheirLine) {
  const std::string links = kLinks;
  EXPECT_THAT(mistake(links + "nvlink_gbps = 4"), testing::StartsWith(":6: unknown key 'nvlink_gbps'"));
  EXPECT_THAT(mistake(links + "compute_ms = \"fast\""), testing::StartsWith(":6: compute_ms: "));
  EXPECT_THAT(mistake(links + "spread_percent = -1"),
              testing::HasSubstr("spread_percent: must be at least 0"));
  EXPECT_THAT(mistake(links + "samples = 0"), testing::HasSubstr("samples: must be at least 1, is 0"));
  EXPECT_THAT(mistake(links + "compute_ms = nan"), testing::HasSubstr("compute_ms: expects a finite number"));
  EXPECT_THAT(mistake(links + "compute_ms = 3"),
              testing::HasSubstr("samples is missing, without which a GPU's step is not described"));
  EXPECT_THAT(mistake("gpus_per_node = 8\n"), testing::HasSubstr("nvlink_gb_per_s is missing"));
  EXPECT_THAT(mistake("gpus_per_node = \n"), testing::StartsWith(":1: "));
  EXPECT_THROW(read_fabric_file("/nowhere/fabric.toml"), Error);
  EXPECT_THROW(read_fabric_file("/tmp"), Error);
}

}  // namespace
}  // namespace lockstep
