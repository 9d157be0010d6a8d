#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "src/ops/supported.h"
#include "src/optim/optimizer.h"
#include "tests/support/mpi_world.h"
#include "tests/train/tiny_run.h"

namespace lockstep {
namespace {

class MpiSharding : public MpiBackendTest {
 protected:
  static constexpr int64_t kGlobalBatch = 16, kMicroBatch = 2;
  const std::vector<int64_t> valid_ = {16, 16, 5};

  std::unique_ptr<TinyRun> make_run(const TinyOptions& options, const CommunicatorOptions& communicator) {
    return std::make_unique<TinyRun>(exec(), Batching{kGlobalBatch, kMicroBatch, 8 / world.size()}, options,
                                     make_communicator(world, exec(), communicator));
  }
  std::unique_ptr<TinyRun> sharded(TinyOptions options, const CommunicatorOptions& communicator) {
    options.sharded = true;
    return make_run(options, communicator);
  }
  std::unique_ptr<TinyRun> alone(const TinyOptions& options) {
    return std::make_unique<TinyRun>(exec(), Batching{kGlobalBatch, kMicroBatch, 8}, options);
  }
  /// In which layers read a working copy of the weights.
  std::vector<Precision> narrow_precisions() const {
    std::vector<Precision> all = {Precision::bf16, Precision::fp16};
    std::erase_if(all, [&](Precision precision) { return !why_unsupported(exec(), precision).empty(); });
    return all;
  }
  static TinyOptions options_of(const std::string& optimizer, double clip_norm = 0) {
    return {.clip_norm = clip_norm, .optimizer = optimizer};
  }
};
INSTANTIATE_FOR_BACKENDS(MpiSharding);

TEST_P(MpiSharding, HasTheBitsOfOneRankInReproducibleMode) {
  for (const std::string& optimizer : optimizer_names())
    for (const double clip_norm : {0.0, 0.5}) {
      const TinyOptions options = options_of(optimizer, clip_norm);
      const auto one = alone(options), together = sharded(options, {.reproducible = true});
      EXPECT_EQ(together->train(valid_), one->train(valid_)) << optimizer << " clip " << clip_norm;
      EXPECT_EQ(together->hash(), one->hash()) << optimizer << " clip " << clip_norm;
      EXPECT_EQ(together->states(), one->states()) << optimizer << " clip " << clip_norm;
    }
}

TEST_P(MpiSharding, HasTheBitsOfOneRankWhereSomeParametersAreFrozen) {
  for (const std::string& optimizer : optimizer_names()) {
    TinyOptions options = options_of(optimizer, 0.5);
    options.second_block = true;
    options.tuning = {{"conv", "norm", "dense.bias"}, {{"norm2*", 0.1}}};
    const auto one = alone(options), together = sharded(options, {.reproducible = true});
    EXPECT_EQ(together->train(valid_), one->train(valid_)) << optimizer;
    EXPECT_EQ(together->hash(), one->hash()) << optimizer;
    EXPECT_EQ(together->snapshot().storage, one->snapshot().storage) << optimizer;
  }
}

// TinyRun overwrites the weights that may be out of date with NaN after each step.
TEST_P(MpiSharding, AGatheredWorkingCopyHasTheBitsOfOneRank) {
  for (const Precision precision : narrow_precisions()) {
    for (const std::string& optimizer : optimizer_names()) {
      TinyOptions options = options_of(optimizer, 0.5);
      options.precision = precision;
      const bool frozen = optimizer == "adam";
      if (frozen) options.second_block = true;
      if (frozen) options.tuning = {{"conv", "norm", "dense.bias"}, {{"norm2*", 0.1}}};
      const auto one = alone(options), together = sharded(options, {.reproducible = true});
      EXPECT_EQ(together->train(valid_), one->train(valid_)) << optimizer;
      EXPECT_FALSE(together->parameters().has_whole_weights());
      EXPECT_EQ(together->states(), one->states()) << optimizer;
      EXPECT_EQ(together->snapshot().storage, one->snapshot().storage) << optimizer;
      EXPECT_EQ(together->train(valid_), one->train(valid_)) << optimizer << ", after a snapshot";
      EXPECT_EQ(together->hash(), one->hash()) << optimizer;
    }
  }
}

TEST_P(MpiSharding, CapturedEqualsUncapturedToTheBit) {
  std::vector<Precision> precisions = narrow_precisions();
  precisions.push_back(Precision::fp32);
  for (const Precision precision : precisions) {
    TinyOptions captured = options_of("lamb", 0.5);
    captured.precision = precision;
    TinyOptions uncaptured = captured;
    uncaptured.capture = false;
    const auto replayed = sharded(captured, {.reproducible = true});
    const auto enqueued = sharded(uncaptured, {.reproducible = true});
    EXPECT_EQ(replayed->train(valid_), enqueued->train(valid_));
    EXPECT_EQ(replayed->hash(), enqueued->hash());
  }
}

TEST_P(MpiSharding, DefaultTrainingIsCloseToOneRankAndTheSameOnEveryRank) {
  const TinyOptions options = options_of("lamb", 0.5);
  const auto one = alone(options), together = sharded(options, {});
  const std::vector<double> expected = one->train(valid_), losses = together->train(valid_);
  ASSERT_EQ(losses.size(), expected.size());
  for (size_t i = 0; i < losses.size(); ++i) EXPECT_NEAR(losses[i], expected[i], 1e-4) << i;
  for (const uint64_t hash : world.gather(together->hash())) EXPECT_EQ(hash, together->hash());
}

TEST_P(MpiSharding, WorksThroughHostMemoryToo) {
  if (!exec().on_cuda()) GTEST_SKIP() << "the CPU's memory is the host's";
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    TinyOptions options = options_of("lamb", 0.5);
    options.precision = precision;
    const auto one = alone(options),
               together = sharded(options, {.reproducible = true, .transport = Transport::mpi});
    EXPECT_EQ(together->train(valid_), one->train(valid_));
    EXPECT_EQ(together->hash(), one->hash());
    EXPECT_EQ(together->snapshot().storage, one->snapshot().storage);
  }
}

// A checkpoint does not tell how it was made, and goes on in either way.
TEST_P(MpiSharding, SnapshotsAreWholeAndInterchangeable) {
  TinyOptions options = options_of("adam", 0.5);
  if (!narrow_precisions().empty()) options.precision = narrow_precisions().back();
  const auto one = alone(options), together = sharded(options, {.reproducible = true});
  one->train(valid_);
  together->train(valid_);
  const Checkpoint whole = one->snapshot(), gathered = together->snapshot();
  ASSERT_EQ(gathered.storage.size(), whole.storage.size());
  EXPECT_EQ(gathered.storage, whole.storage);

  const auto resumed_alone = alone(options), resumed_together = sharded(options, {.reproducible = true});
  resumed_alone->restore(gathered);
  resumed_together->train(2, kGlobalBatch);  // what a snapshot replaces
  resumed_together->restore(whole);
  const std::vector<double> losses = one->train(valid_);
  EXPECT_EQ(together->train(valid_), losses);  // saving changed nothing
  EXPECT_EQ(resumed_alone->train(valid_), losses);
  EXPECT_EQ(resumed_together->train(valid_), losses);
  for (const auto* run : {&together, &resumed_alone, &resumed_together})
    EXPECT_EQ((*run)->hash(), one->hash());
}

TEST_P(MpiSharding, EachRankKeepsItsPartOfTheState) {
  const TinyOptions options = options_of("adam");
  const auto one = alone(options), together = sharded(options, {});
  const auto floats = [](const TinyRun& run) {
    size_t count = 0;
    for (const Optimizer::State& state : run.optimizer().state()) count += state.values.size();
    return count;
  };
  const std::vector<uint64_t> parts = world.gather(floats(*together));
  EXPECT_EQ(std::accumulate(parts.begin(), parts.end(), uint64_t{0}), floats(*one));
  if (world.size() > 1) {
    EXPECT_LT(*std::ranges::max_element(parts), floats(*one));
  }
}

}  // namespace
}  // namespace lockstep
