#include <gtest/gtest.h>

#include "src/core/text/json.h"
#include "tests/io/temporary_folder.h"
#include "tests/support/run_program.h"

namespace lockstep {
namespace {

std::vector<int64_t> optimizer_bytes(int ranks, const std::string& sharded) {
  const TemporaryFolder folder;
  const ProgramResult result = run_program(
      lockstep_command(ranks, {"bench", "step", "--device", "cpu", "--steps", "1", "--json", "--set",
                               "model.name=mlp", "--set", "optimizer.sharded=" + sharded}),
      folder.path());
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return parse_json(result.out)["step"]["optimizer_bytes"];
}

TEST(BenchStep, SaysThatShardedRanksNeedAPartOfTheMemory) {
  const std::vector<int64_t> alone = optimizer_bytes(1, "true");
  ASSERT_EQ(alone.size(), 1u);
  EXPECT_EQ(optimizer_bytes(2, "false"), std::vector(2, alone[0]));
  const std::vector<int64_t> shares = optimizer_bytes(2, "true");
  ASSERT_EQ(shares.size(), 2u);
  for (const int64_t share : shares)
    EXPECT_NEAR(static_cast<double>(share), 0.5 * static_cast<double>(alone[0]),
                0.05 * static_cast<double>(alone[0]));
}

}  // namespace
}  // namespace lockstep
