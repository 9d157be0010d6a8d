#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "src/core/text/json.h"
#include "tests/io/temporary_folder.h"
#include "tests/support/run_program.h"

namespace lockstep {
namespace {

std::vector<std::string> arguments(std::vector<std::string> more) {
  more.insert(more.begin(), {"bench", "allreduce", "--device", "cpu", "--repeats", "3", "--iterations", "2"});
  return more;
}

class BenchAllReduce : public testing::TestWithParam<int> {};

TEST_P(BenchAllReduce, MeasuresEverySizeWithEveryTransportAndDerivesTheBandwidths) {
  const int ranks = GetParam();
  const TemporaryFolder folder;
  const ProgramResult result = run_program(
      lockstep_command(ranks, arguments({"--min", "8", "--max", "40K", "--factor", "64", "--json"})),
      folder.path());
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto json = parse_json(result.out);
  EXPECT_EQ(json["ranks"], ranks);

  // The fixed tree exists for powers of two only.
  std::vector<std::string> transports = {"mpi", "reproducible", "bf16", "MPI_Allreduce"};
  if (ranks == 3) transports.erase(transports.begin() + 1);
  const auto& rows = json["results"];
  size_t row = 0;
  for (const int bytes : {8, 512, 32768}) {
    for (const std::string& transport : transports) {
      ASSERT_LT(row, rows.size());
      const auto& found = rows[row++];
      EXPECT_EQ(found["bytes"], bytes);
      EXPECT_EQ(found["transport"], transport);
      const double us = found["us_median"];
      EXPECT_LE(found["us_min"].get<double>(), us);
      EXPECT_GE(found["us_max"].get<double>(), us);
      EXPECT_GT(us, 0);
      const double algorithm = bytes / (us * 1e-6) / 1e9;
      EXPECT_NEAR(found["algbw_gb_s"].get<double>(), algorithm, 1e-9 * algorithm);
      const double bus = algorithm * 2 * (ranks - 1) / ranks;
      EXPECT_NEAR(found["busbw_gb_s"].get<double>(), bus, 1e-9 * bus);
      EXPECT_EQ(found.contains("speed_against_mpi"), transport != "MPI_Allreduce");
    }
  }
  EXPECT_EQ(row, rows.size());
}

INSTANTIATE_TEST_SUITE_P(Ranks, BenchAllReduce, testing::Values(2, 3, 4));

TEST(BenchAllReduceText, FitsATerminal) {
  const TemporaryFolder folder;
  const ProgramResult result =
      run_program(lockstep_command(2, arguments({"--min", "1M", "--max", "1M"})), folder.path());
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, testing::HasSubstr("1.0 MiB  reproducible"));
  std::istringstream lines(result.out);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80u) << line;
}

TEST(BenchAllReduceText, WhatDoesNotFitIntoMemoryIsRefused) {
  const TemporaryFolder folder;
  const ProgramResult result = run_program(lockstep_command(2, arguments({"--max", "1024T"})), folder.path());
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, testing::HasSubstr("--max 1.0 PiB does not fit: 2 ranks on this machine"));
}

}  // namespace
}  // namespace lockstep
