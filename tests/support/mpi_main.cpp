// The main() of mpi_tests: one World for all tests, and a result that counts every rank.
#include <gtest/gtest.h>

#include <cstdio>

#include "io/probe/probe.h"
#include "tests/support/mpi_world.h"

namespace lockstep {

namespace {

World* the_world = nullptr;

/// Prints failures with their rank. A fatal one ends the job: the other ranks may be waiting for this one.
class RankListener : public testing::EmptyTestEventListener {
  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (!result.failed()) return;
    std::fprintf(stderr, "[rank %d] %s:%d: %s\n", the_world->rank(),
                 result.file_name() == nullptr ? "unknown" : result.file_name(), result.line_number(),
                 result.message());
  }
  void OnTestEnd(const testing::TestInfo& test) override {
    if (!test.result()->HasFatalFailure()) return;
    std::fprintf(stderr, "[rank %d] %s.%s failed: ending all ranks\n", the_world->rank(),
                 test.test_suite_name(), test.name());
    the_world->abort(1);
  }
};

}  // namespace

World& test_world() { return *the_world; }

}  // namespace lockstep

int main(int argc, char** argv) {
  if (const auto code = lockstep::run_probe(argc, argv)) return *code;
  testing::InitGoogleTest(&argc, argv);
  lockstep::World world({.launcher = "mpirun", .one_machine = true});
  lockstep::the_world = &world;
  auto& listeners = testing::UnitTest::GetInstance()->listeners();
  if (world.rank() != 0) delete listeners.Release(listeners.default_result_printer());
  listeners.Append(new lockstep::RankListener);
  const bool failed = RUN_ALL_TESTS() != 0;
  return world.any(failed) ? 1 : 0;
}
