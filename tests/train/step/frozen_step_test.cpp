// Training steps that leave some parameters as they are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/core/error.h"
#include "tests/support/thread_communicator.h"
#include "tests/train/tiny_run.h"

namespace lockstep {
namespace {

using test::ThreadRanks;
using testing::HasSubstr;

const std::vector<int64_t> kValid = {32, 32, 5, 32};

TinyOptions options_with(const TuningSpec& tuning, const std::string& optimizer = "adam") {
  return {.clip_norm = 0.5, .second_block = true, .optimizer = optimizer, .tuning = tuning};
}

/// By name, in a checkpoint.
std::map<std::string, std::vector<std::byte>> tensors_of(TinyRun& run) {
  const Checkpoint checkpoint = run.snapshot();
  std::map<std::string, std::vector<std::byte>> tensors;
  for (size_t i = 0; i < checkpoint.tensors.size(); ++i)
    tensors[checkpoint.tensors[i].name] = checkpoint.storage[i];
  return tensors;
}

class FrozenStep : public test::BackendTest {
 protected:
  static constexpr Batching kBatching{32, 4, 8};
};
INSTANTIATE_FOR_BACKENDS(FrozenStep);

TEST_P(FrozenStep, ChangesExactlyWhatIsTrained) {
  for (const std::string& optimizer : optimizer_names()) {
    TinyRun run(exec(), kBatching, options_with({{"conv", "norm", "dense.bias"}, {}}, optimizer));
    const auto before = tensors_of(run);
    run.train(kValid);
    const auto after = tensors_of(run);
    for (const auto& [name, values] : after) {
      const bool frozen = name.starts_with("model/conv.") || name.starts_with("model/norm.") ||
                          name.starts_with("state/norm.") || name == "model/dense.bias";
      // What batch norm takes away again has hardly any gradient.
      if (name == "model/conv2.bias") continue;
      EXPECT_EQ(values == before.at(name), frozen) << name << " with " << optimizer;
      EXPECT_FALSE(name.starts_with("optimizer/") && name.find("/conv.") != std::string::npos)
          << "a state of the optimizer for what it does not train";
    }
  }
}

TEST_P(FrozenStep, GoesOnFromASnapshot) {
  const TinyOptions options = options_with({{"conv", "norm2"}, {{"dense", 0.1}}});
  TinyRun run(exec(), kBatching, options), resumed(exec(), kBatching, options);
  run.train(kValid);
  resumed.restore(run.snapshot());
  EXPECT_EQ(resumed.hash(), run.hash());
  EXPECT_EQ(resumed.train(kValid), run.train(kValid));
  EXPECT_EQ(resumed.hash(), run.hash());
}

TEST_P(FrozenStep, ASnapshotIsThatOfAnyModelOfTheSameNames) {
  TinyRun run(exec(), kBatching, options_with({{"conv", "dense.weight"}, {}}));
  run.train(kValid);
  TinyRun other(exec(), kBatching, options_with({}));
  restore_model(run.snapshot(), "a snapshot", exec(), other.parameters(), "adam", /*optimizer=*/nullptr);
  EXPECT_EQ(other.hash(), run.hash());
  try {
    other.restore(run.snapshot());
    FAIL() << "the optimizer's state of conv is missing";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("it has no tensor optimizer/adam/m/conv.weight. To change "
                                        "optimizer.name or optimizer.freeze, start a new run with "
                                        "model.init_from."));
  }
}

TEST(FrozenSteps, HaveTheSameBitsOnAnyNumberOfRanks) {
  const auto hash_of = [](std::unique_ptr<Communicator> communicator) {
    const Batching batching{32, 4, 8 / communicator->size()};
    TinyRun run(Exec{}, batching, options_with({{"conv", "norm"}, {{"conv2.*", 0.1}}}, "lamb"),
                std::move(communicator));
    run.train(kValid);
    return run.hash();
  };
  const uint64_t alone = hash_of(make_self_communicator());
  for (const int size : {2, 4}) {
    ThreadRanks ranks(size, {.reproducible = true});
    ranks.run_all([&](int, std::unique_ptr<Communicator> communicator) {
      EXPECT_EQ(hash_of(std::move(communicator)), alone) << size << " ranks";
    });
  }
}

}  // namespace
}  // namespace lockstep
