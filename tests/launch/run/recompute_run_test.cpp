#include <gmock/gmock.h>

#include "tests/launch/run/whole_run.h"

namespace lockstep {
namespace {

constexpr const char* kBlocks = R"(
[block.unit]
layers = [
  { kind = "conv2d", filters = 8, kernel = 3, padding = 1, bias = false },
  { kind = "batch_norm" },
  { kind = "relu" },
]

[[layer]]
kind = "max_pool2d"
[[layer]]
block = "unit"
name = "unit"
repeat = 3
[[layer]]
kind = "flatten"
[[layer]]
kind = "dropout"
rate = 0.1
[[layer]]
kind = "linear"
outputs = "classes"
)";

TEST_F(WholeRun, RecomputedActivationsGiveTheSameBits) {
  const std::string model = *folder_ / "blocks.toml";
  std::ofstream(model) << kBlocks;
  const auto hash_with = [&](const std::string& name, int ranks, const std::string& recompute,
                             const std::string& more = "train.sync_batch_norm=false") {
    return train(name, ranks,
                 set({"train.steps=6", "run.threads=1", "run.reproducible=true", "train.micro_batch=32",
                      "model.file=" + model, "train.recompute=" + recompute, more}))
        .back()["weights_hash"]
        .get<std::string>();
  };
  const std::string kept = hash_with("kept", 1, "none");
  EXPECT_EQ(hash_with("blocks", 1, "blocks"), kept);
  EXPECT_EQ(hash_with("two-ranks", 2, "[\"unit.1\", \"*relu*\"]"), kept);
}

TEST_F(WholeRun, SynchronizedBatchNormIsRecomputedToo) {
  const std::string model = *folder_ / "synchronized.toml";
  std::ofstream(model) << kBlocks;
  const auto hash_with = [&](const std::string& recompute) {
    return train("synchronized-" + recompute, 2,
                 set({"train.steps=4", "run.threads=1", "model.file=" + model, "train.recompute=" + recompute,
                      "train.sync_batch_norm=true"}))
        .back()["weights_hash"]
        .get<std::string>();
  };
  EXPECT_EQ(hash_with("blocks"), hash_with("none"));
}

TEST_F(WholeRun, ABlockThatIsNotThereIsNamedBeforeTheFirstStep) {
  const std::string model = *folder_ / "named.toml";
  std::ofstream(model) << kBlocks;
  std::vector<std::string> arguments = {"train", "--run", *folder_ / "named", "--device", "cpu"};
  for (const std::string& setting : set({"data.train=" + (*folder_ / "digits.h5") + ":/train",
                                         "model.file=" + model, "train.recompute=stage1"}))
    arguments.push_back(setting);
  const ProgramResult refused = run_program(lockstep_command(1, arguments), folder_->path());
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, testing::HasSubstr("train.recompute: no layer or block is named 'stage1'"));
}

}  // namespace
}  // namespace lockstep
