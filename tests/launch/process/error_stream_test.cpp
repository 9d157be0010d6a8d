#include "launch/process/error_stream.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

const std::string kRuler = std::string(74, '-') + "\n";
const std::string kError = "[rank 0] error: none.h5 does not exist.\n";
const std::string kAbort = kRuler +
                           "MPI_ABORT was invoked on rank 0 in communicator MPI_COMM_WORLD\n"
                           "with errorcode 3.\n\nNOTE: invoking MPI_ABORT causes Open MPI to kill all MPI "
                           "processes.\n" +
                           kRuler;
const std::string kMore =
    "[node1:123] 1 more process has sent help message help-mpi-api.txt / mpi-abort\n"
    "[node1:123] Set MCA parameter \"orte_base_help_aggregate\" to 0 to see all help / error messages\n";

std::string whole(const std::string& text, size_t piece) {
  ErrorStream stream;
  std::string passed;
  for (size_t at = 0; at < text.size(); at += piece) passed += stream.pass(text.substr(at, piece));
  return passed + stream.finish();
}

TEST(ErrorStreamTest, LeavesOutWhatMpiSaysOfAnErrorThatARankHasNamed) {
  const std::string warning = "[rank 1] warning: x\n";
  for (const size_t piece : {1, 7, 1000}) {
    EXPECT_EQ(whole(kError + kAbort + warning + kMore + "last", piece), kError + warning + "last") << piece;
    EXPECT_EQ(whole(kRuler + kError + kAbort.substr(kRuler.size()), piece), kError) << piece;
    // Open MPI 5: the paragraph comes first, and ends with a zero byte.
    EXPECT_EQ(whole(kAbort + std::string(1, '\0') + kError + kAbort, piece), kError) << piece;
  }
}

TEST(ErrorStreamTest, KeepsWhatNobodyElseHasSaid) {
  const std::string other = kRuler + "There are not enough slots available in the system\n" + kRuler;
  for (const size_t piece : {1, 7, 1000}) {
    EXPECT_EQ(whole(kAbort + kMore, piece), kAbort + kMore) << piece;
    EXPECT_EQ(whole(kError + other, piece), kError + other) << piece;
    EXPECT_EQ(whole(kError + kRuler + "no end", piece), kError + kRuler + "no end") << piece;
  }
}

TEST(ErrorStreamTest, HandsALineOnBeforeItEnds) {
  ErrorStream stream;
  EXPECT_EQ(stream.pass("50 %"), "50 %");
  EXPECT_EQ(stream.pass(" 60 %\nx"), " 60 %\nx");
  EXPECT_EQ(stream.finish(), "");
}

}  // namespace
}  // namespace lockstep
