#pragma once

#include "comm/world.h"
#include "tests/support/backend.h"

namespace lockstep {

/// The one World of the mpi_tests program. Every test runs on all ranks at the same time.
World& test_world();

/// A test that runs on all ranks once for each backend, with a GPU for each rank, and skips by name where
/// there are fewer GPUs.
class MpiBackendTest : public testing::TestWithParam<Backend> {
 protected:
  void SetUp() override {
    test::use_backend(GetParam(), exec_, test_world().local_rank(), test_world().local_size());
  }
  Exec exec() const { return exec_; }
  World& world = test_world();

 private:
  Exec exec_;
};

}  // namespace lockstep
