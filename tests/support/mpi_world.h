#pragma once

#include <cstdlib>

#include "comm/collectives/world.h"
#include "src/device/devices.h"
#include "tests/support/backend.h"

namespace lockstep {

/// The one World of the mpi_tests program. Every test runs on all ranks at the same time.
World& test_world();

/// Whether NCCL was told that each rank is a separate machine. Then it lets ranks share a GPU.
inline bool ranks_may_share_gpus() { return std::getenv("NCCL_HOSTID") != nullptr; }

/// A test that runs on all ranks once for each backend, with a GPU for each rank, and skips by name where
/// there are fewer GPUs and they may not be shared.
class MpiBackendTest : public testing::TestWithParam<Backend> {
 protected:
  void SetUp() override {
    const int rank = world.local_rank();
    const auto gpus = static_cast<int>(find_devices().gpus.size());
    if (ranks_may_share_gpus() && gpus > 0)
      test::use_backend(GetParam(), exec_, rank % gpus, 1);
    else
      test::use_backend(GetParam(), exec_, rank, world.local_size());
  }
  Exec exec() const { return exec_; }
  World& world = test_world();

 private:
  Exec exec_;
};

}  // namespace lockstep
