#include "launch/config/familiar_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "launch/config/config.h"
#include "launch/config/option_table.h"
#include "src/core/error.h"

namespace lockstep {
namespace {

using ::testing::HasSubstr;

bool is_key(std::string_view name) {
  return std::ranges::any_of(option_table(), [&](const Option& option) { return option.key == name; });
}

TEST(FamiliarNames, OfKeysStandForKeysAndAreNone) {
  for (const Synonym& name : familiar_keys()) {
    EXPECT_TRUE(is_key(name.meant)) << name.typed << " -> " << name.meant;
    EXPECT_FALSE(std::ranges::any_of(
        option_table(),
        [&](const Option& option) { return option.key.ends_with("." + std::string(name.typed)); }))
        << name.typed << " is the name of a key, which is told first";
  }
}

TEST(FamiliarNames, StandForKeysInAnySectionAndSpelling) {
  EXPECT_EQ(meant_key("batch_size"), "train.global_batch");
  EXPECT_EQ(meant_key("data.batchSize"), "train.global_batch");
  EXPECT_EQ(meant_key("optimizer.learning-rate"), "optimizer.lr");
  EXPECT_EQ(meant_key("train.epoch"), "train.epochs");
  EXPECT_EQ(meant_key("epoch"), "train.epochs");
  EXPECT_EQ(meant_key("train.lr"), "optimizer.lr");
  EXPECT_EQ(meant_key("optimizer.momentumm"), "optimizer.momentum");
  EXPECT_EQ(meant_key("model.weight_deacy"), "optimizer.weight_decay");
  EXPECT_EQ(meant_key("zzzzzzzzzz"), "");
  EXPECT_EQ(meant_section("training"), "train");
  EXPECT_EQ(meant_section("Optimizer"), "optimizer");
  EXPECT_EQ(meant_section("zzzzzzzzzz"), "");
}

std::string error_of(const std::string& text) {
  try {
    parse_config(text, "c.toml", "/", {});
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(FamiliarNames, AreSuggestedForWhatAConfigHolds) {
  const auto expect = [](const std::string& text, const std::string& message) {
    EXPECT_THAT(error_of(text), HasSubstr(message)) << text;
  };
  expect("[training]\nepochs = 3", "c.toml:1: unknown section [training]. Did you mean [train]?");
  expect("[train]\nbatch_size = 3", "unknown key 'train.batch_size'. Did you mean 'train.global_batch'?");
  expect("[train]\nloss = \"mse\"", "train.loss: unknown value 'mse'. Did you mean 'mean_squared_error'?");
  expect("[train]\nloss = \"categorical_crossentropy\"", "Did you mean 'cross_entropy'?");
  expect("[data]\ntask = \"regression\"", "Did you mean 'values'?");
  expect("[data]\nnum_classes = 3", "Did you mean 'data.classes'?");
  expect("[run]\ndevice = \"gpu\"", "Did you mean 'cuda'?");
  expect("[run]\nprecision = \"float32\"", "Did you mean 'fp32'?");
  expect("[data]\nlayout = \"NCHW\"", "Did you mean 'channels_first'?");
  expect("[data]\nnormalize = \"raw\"", "Did you mean 'none'?");
  expect("[data]\nnormalize = \"imagenet\"", "write { mean = [0.485, 0.456, 0.406]");
  expect("[data]\ntrain = { files = [\"a.h5\"], labels = \"/y\" }", "Did you mean 'y'?");
  expect("[optimizer]\nname = \"Adam\"", "Did you mean 'adam'?");
  expect("[schedule]\nname = \"CosineAnnealingLR\"", "Did you mean 'cosine'?");
  expect("[train]\nearly_stop = { monitor = \"val_loss\" }", "Did you mean 'metric'?");
  expect("[train]\nearly_stop = { metric = \"val_loss\" }", "Did you mean 'validation_loss'?");
  expect("[model]\nname = \"lenet\"", "Did you mean 'cnn'?");
  expect("[model]\nname = \"mlp\"\nlayers = [3]", "Did you mean 'hidden'?");
  expect("[model]\nname = \"cnn\"\nlayers = [3]", "Did you mean 'filters'?");
  expect("[model]\nname = \"mlp\"\nlearning_rate = 3", "Did you mean 'optimizer.lr'?");
}

}  // namespace
}  // namespace lockstep
