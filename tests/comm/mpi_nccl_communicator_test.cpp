#include "comm/nccl_communicator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "src/core/error.h"
#include "src/core/hash.h"
#include "src/device/buffer.h"
#include "src/device/cuda_context.h"
#include "src/device/devices.h"
#include "src/device/replay.h"
#include "tests/support/gradient_tree.h"
#include "tests/support/mpi_world.h"

namespace lockstep {
namespace {

using ::testing::HasSubstr;

/// One GPU a rank.
class NcclCommunicator : public testing::Test {
 protected:
  void SetUp() override {
    const DeviceReport report = find_devices();
    if (static_cast<int>(report.gpus.size()) < world.size())
      GTEST_SKIP() << report.gpus.size() << " GPUs for " << world.size() << " ranks";
    context.emplace(world.rank());
  }
  Exec exec() { return {.cuda = &*context}; }

  std::vector<std::vector<float>> every_ranks_data(size_t elements) const {
    std::vector<std::vector<float>> data;
    for (int rank = 0; rank < world.size(); ++rank) data.push_back(made_up_gradient(rank, elements));
    return data;
  }

  void upload(std::span<float> to, const std::vector<float>& from) {
    copy(exec(), to.data(), from.data(), to.size_bytes());
    synchronize(exec());
  }
  std::vector<float> download(std::span<const float> from) {
    std::vector<float> values(from.size());
    copy(exec(), values.data(), from.data(), from.size_bytes());
    synchronize(exec());
    return values;
  }

  World& world = test_world();
  std::optional<CudaContext> context;
};

TEST_F(NcclCommunicator, ReproducibleSumHasTheBitsOfTheSequentialTree) {
  const auto communicator = make_nccl_communicator(world, *context, /*reproducible=*/true);
  EXPECT_EQ(communicator->rank(), world.rank());
  EXPECT_EQ(communicator->size(), world.size());
  // The last is longer than what is exchanged whole.
  for (const size_t elements : {0, 1, 3, 4097, 200003}) {
    const auto data = every_ranks_data(elements);
    Buffer buffer(exec(), Memory::device, elements * sizeof(float));
    const std::span<float> sum = buffer.as<float>();
    upload(sum, data[static_cast<size_t>(world.rank())]);
    communicator->reserve(static_cast<int64_t>(elements));
    communicator->start_sum(exec(), sum);
    communicator->wait(exec());
    EXPECT_TRUE(same_bits(download(sum), oracle_tree_sum(data))) << elements << " elements";
  }
}

TEST_F(NcclCommunicator, DefaultSumIsCloseToTheTreesAndTheSameOnEveryRank) {
  const auto communicator = make_nccl_communicator(world, *context, /*reproducible=*/false);
  const size_t elements = 20487;
  const auto data = every_ranks_data(elements);
  const std::vector<float> expected = oracle_tree_sum(data);
  Buffer buffer(exec(), Memory::device, elements * sizeof(float));
  upload(buffer.as<float>(), data[static_cast<size_t>(world.rank())]);
  communicator->start_sum(exec(), buffer.as<float>());
  communicator->wait(exec());
  communicator->check();
  const std::vector<float> sum = download(buffer.as<float>());
  for (size_t i = 0; i < elements; ++i) ASSERT_NEAR(sum[i], expected[i], 0.1f) << i;
  for (const uint64_t hash : world.gather(hash_bytes(std::as_bytes(std::span(sum)))))
    EXPECT_EQ(hash, hash_bytes(std::as_bytes(std::span(sum))));
}

TEST_F(NcclCommunicator, SumsOfAReplayedGraphAreThoseOfTheFirstRun) {
  for (const bool reproducible : {false, true}) {
    const auto communicator = make_nccl_communicator(world, *context, reproducible);
    const size_t elements = 5000;
    const auto data = every_ranks_data(elements);
    Buffer input(exec(), Memory::device, elements * sizeof(float));
    Buffer buffer(exec(), Memory::device, elements * sizeof(float));
    const std::span<float> sum = buffer.as<float>();
    upload(input.as<float>(), data[static_cast<size_t>(world.rank())]);
    communicator->reserve(static_cast<int64_t>(elements));
    // Destroyed before the communicator, which waits for that.
    Replay replay(exec(), /*capture=*/true, [&] {
      copy(exec(), sum.data(), input.data(), sum.size_bytes());
      communicator->start_sum(exec(), sum.first(1000));
      communicator->start_sum(exec(), sum.subspan(1000));
      communicator->wait(exec());
    });
    std::vector<float> first;
    for (int run = 0; run < 4; ++run) {
      fill_zero(exec(), sum.data(), sum.size_bytes());
      replay.run();
      if (run == 0) first = download(sum);
      EXPECT_TRUE(same_bits(download(sum), first)) << "run " << run;
    }
    for (size_t i = 0; i < elements; ++i) ASSERT_NEAR(first[i], oracle_tree_sum(data)[i], 0.1f) << i;
  }
}

TEST_F(NcclCommunicator, NotANumberReachesEveryRank) {
  for (const bool reproducible : {false, true}) {
    const auto communicator = make_nccl_communicator(world, *context, reproducible);
    Buffer buffer(exec(), Memory::device, 2 * sizeof(float));
    upload(buffer.as<float>(), {world.rank() == 0 ? NAN : 1.0f, 1.0f});
    communicator->start_sum(exec(), buffer.as<float>());
    communicator->wait(exec());
    const std::vector<float> sum = download(buffer.as<float>());
    EXPECT_TRUE(std::isnan(sum[0]));
    EXPECT_EQ(sum[1], world.size());
  }
}

TEST_F(NcclCommunicator, RefusesTwoRanksOnOneGpuByName) {
  if (world.size() == 1) GTEST_SKIP() << "one rank";
  context.emplace(0);
  try {
    make_nccl_communicator(world, *context, false);
    FAIL() << "two ranks on one GPU were accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    EXPECT_THAT(error.what(), HasSubstr("were both given GPU 0"));
  }
}

}  // namespace
}  // namespace lockstep
