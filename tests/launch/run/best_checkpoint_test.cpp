#include "io/checkpoint/checkpoint.h"
#include "tests/launch/run/whole_run.h"

namespace lockstep {
namespace {

TEST_F(WholeRun, TheBestCheckpointIsTheBestWhateverEarlyStoppingCallsAnImprovement) {
  std::vector<std::string> settings =
      set({"train.epochs=6", "data.validation_split=0.2", "model.name=mlp", "optimizer.lr=0.002",
           "train.early_stop={ metric = \"validation_loss\", patience = 2, min_delta = 0.9 }"});
  double best = 1e9;
  int64_t best_epoch = 0, last_epoch = 0;
  for (const json& event : train("threshold", 1, settings)) {
    if (event["event"] != "epoch") continue;
    last_epoch = event["epoch"];
    if (event["validation_loss"] >= best) continue;
    best = event["validation_loss"];
    best_epoch = last_epoch;
  }
  EXPECT_GT(best_epoch, 1);
  EXPECT_LT(last_epoch, 6) << "no epoch was stopped for want of a large improvement";
  const Checkpoint kept = load_checkpoint(*folder_ / "threshold/checkpoints/best.h5");
  EXPECT_EQ(kept.integers.at("saved_best_epoch"), best_epoch);
  EXPECT_EQ(kept.reals.at("saved_best"), best);
}

}  // namespace
}  // namespace lockstep
