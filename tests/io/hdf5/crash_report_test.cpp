#include "io/hdf5/crash_report.h"

#include <gtest/gtest.h>

#include <csignal>

namespace lockstep::hdf5 {
namespace {

TEST(CrashReportDeathTest, ACrashInsideLibhdf5IsAnErrorInTheData) {
  const auto crash_inside = [] {
    report_crashes();
    const InsideLibhdf5 reading("data/a.h5", "/train/x");
    std::raise(SIGSEGV);
  };
  EXPECT_EXIT(crash_inside(), testing::ExitedWithCode(3),
              "error: data/a.h5:/train/x: libhdf5 crashed while reading it, so its data is damaged.");
}

TEST(CrashReportDeathTest, AnyOtherCrashStaysOne) {
  const auto crash_outside = [] {
    report_crashes();
    { const InsideLibhdf5 reading("data/a.h5", "/train/x"); }
    std::raise(SIGABRT);  // which sanitizers leave alone
  };
  EXPECT_EXIT(crash_outside(), testing::KilledBySignal(SIGABRT), "");
}

}  // namespace
}  // namespace lockstep::hdf5
