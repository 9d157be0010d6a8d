#include "launch/scaling/scaling_runs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/core/error.h"

namespace lockstep {
namespace {

using testing::Contains;
using testing::Not;

TEST(ScalingLauncher, IsSrunInASlurmJobAndMpirunElsewhere) {
  Environment environment;
  EXPECT_EQ(choose_launcher(environment, 2, 4).front(), "mpirun");
  environment.slurm_job = "17";
  EXPECT_THAT(choose_launcher(environment, 2, 4), testing::ElementsAre("srun", "--mpi=pmix"));
}

TEST(ScalingLauncher, LetsMoreRanksThanCoresTakeTurns) {
  const Environment environment;
  EXPECT_THAT(choose_launcher(environment, 4, 4), Not(Contains("--oversubscribe")));
  EXPECT_THAT(choose_launcher(environment, 5, 4), Contains("--oversubscribe"));
}

TEST(ScalingLauncher, RefusesToStartRanksFromARank) {
  Environment environment;
  for (const char* launcher : {"mpirun", "srun"}) {
    environment.launcher.launcher = launcher;
    EXPECT_THROW(choose_launcher(environment, 2, 4), Error) << launcher;
  }
}

}  // namespace
}  // namespace lockstep
