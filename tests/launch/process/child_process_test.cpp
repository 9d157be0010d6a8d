#include "launch/process/child_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/core/error.h"

namespace lockstep {
namespace {

TEST(ChildProcess, ItsOutputErrorsAndCodeComeBack) {
  const ChildResult result = run_child({"sh", "-c", "echo out; echo err >&2; exit 3"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.out, "out\n");
  EXPECT_EQ(result.err, "err\n");
}

TEST(ChildProcess, MoreThanAPipeHoldsFitsInBothAtOnce) {
  const ChildResult result =
      run_child({"sh", "-c", "head -c 1000000 /dev/zero >&2; head -c 2000000 /dev/zero; cat"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.err.size(), 1000000u);
  EXPECT_EQ(result.out.size(), 2000000u) << "and its input is empty";
}

TEST(ChildProcess, ASignalIsPartOfTheCode) {
  EXPECT_EQ(run_child({"sh", "-c", "kill -TERM $$"}).exit_code, 128 + 15);
}

TEST(ChildProcess, AProgramThatIsNotThereIsAMistake) {
  try {
    run_child({"no-such-program-of-lockstep"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    EXPECT_THAT(error.what(), testing::HasSubstr("cannot start no-such-program-of-lockstep: No such file"));
  }
}

TEST(ChildProcess, TheOwnProgramCanBeRun) {
  const ChildResult result =
      run_child({own_program(), "--gtest_list_tests", "--gtest_filter=ChildProcess.*"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, testing::HasSubstr("TheOwnProgramCanBeRun"));
}

}  // namespace
}  // namespace lockstep
