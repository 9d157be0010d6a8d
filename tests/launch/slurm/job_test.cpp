#include "launch/slurm/job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lockstep {
namespace {

JobEnd run(const std::string& script, double patience) {
  return run_job({"sh", "-c", script}, /*saving_ranks=*/0, patience);
}

TEST(Job, ALauncherThatHangsAfterALostRankIsEnded) {
  const JobEnd end = run("echo 'error: rank 1 was killed (SIGKILL)' >&2; exec sleep 600", 0.1);
  EXPECT_EQ(end.exit_code, 128 + 9);
  EXPECT_FALSE(end.asked_to_stop);
  EXPECT_EQ(end.why, "rank 1 was killed (SIGKILL)");
}

TEST(Job, WhatLibrariesAndWarningsSayEndsNothing) {
  const std::string text =
      "PMIX error: x\\nfile.c:1: error: x\\n[rank 0] warning: error: x\\n[rank a] error: x\\n";
  const JobEnd end = run("printf '" + text + "' >&2; sleep 2; exit 7", 0);
  EXPECT_EQ(end.exit_code, 7);
  EXPECT_EQ(end.why, "mpirun ended with 7");
}

TEST(Job, TheFirstErrorOfARankIsWhy) {
  const JobEnd end =
      run("printf '[rank 12] error: the disk is full\\nerror: rank 3 was killed\\n' >&2; exit 3", 60);
  EXPECT_EQ(end.exit_code, 3);
  EXPECT_EQ(end.why, "the disk is full");
}

}  // namespace
}  // namespace lockstep
