#include "comm/collectives/nccl_communicator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/core/error.h"
#include "src/device/cuda_context.h"
#include "src/device/replay.h"
#include "tests/support/gradient_tree.h"
#include "tests/support/mpi_world.h"

namespace lockstep {
namespace {

using test::Guarded;
using testing::HasSubstr;

// The sums themselves are tested together with MPI's, in mpi_communicator_test.cpp.
class NcclCommunicator : public MpiBackendTest {};
INSTANTIATE_TEST_SUITE_P(Backends, NcclCommunicator, testing::Values(Backend::cuda),
                         [](const auto&) { return "cuda"; });

TEST_P(NcclCommunicator, SumsOfAReplayedGraphAreThoseOfTheFirstRun) {
  for (const auto& [reproducible, ranks_per_node] : {std::pair{false, 0}, {true, 0}, {true, world.size()}}) {
    const auto communicator = make_nccl_communicator(world, *exec().cuda, reproducible, ranks_per_node);
    const size_t elements = 5000;
    std::vector<std::vector<float>> data;
    for (int rank = 0; rank < world.size(); ++rank) data.push_back(made_up_gradient(rank, elements));
    const Guarded<float> input(exec(), {elements}, data[static_cast<size_t>(world.rank())]);
    const Guarded<float> output(exec(), {elements});
    const std::span<float> sum = output.span();
    communicator->prepare(sum, static_cast<int64_t>(elements));
    // Destroyed before the communicator, which waits for that.
    Replay replay(exec(), /*capture=*/true, [&] {
      copy(exec(), sum.data(), input.span().data(), sum.size_bytes());
      communicator->start_all_reduce(exec(), sum.first(1000));
      communicator->start_all_reduce(exec(), sum.subspan(1000));
      communicator->wait(exec());
    });
    std::vector<float> first;
    for (int run = 0; run < 4; ++run) {
      fill_zero(exec(), sum.data(), sum.size_bytes());
      replay.run();
      if (run == 0) first = output.values();
      EXPECT_TRUE(same_bits(output.values(), first)) << "run " << run;
    }
    for (size_t i = 0; i < elements; ++i) ASSERT_NEAR(first[i], oracle_tree_sum(data)[i], 0.1f) << i;
  }
}

TEST_P(NcclCommunicator, RefusesTwoRanksOnOneGpuByName) {
  if (world.size() == 1) GTEST_SKIP() << "one rank";
  if (ranks_may_share_gpus()) GTEST_SKIP() << "NCCL_HOSTID is set";
  CudaContext first_gpu(0);
  try {
    make_nccl_communicator(world, first_gpu, false, 0);
    FAIL() << "two ranks on one GPU were accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    EXPECT_THAT(error.what(), HasSubstr("were both given GPU 0"));
  }
}

}  // namespace
}  // namespace lockstep
