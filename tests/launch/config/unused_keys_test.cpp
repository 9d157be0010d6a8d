#include "launch/config/unused_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "launch/config/option_table.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> unused(const std::vector<std::string>& sets,
                                TargetKind targets = TargetKind::classes) {
  std::vector<std::string> texts;
  for (const Finding& finding : unused_keys(parse_config("", "", "", sets), targets))
    texts.push_back(finding.text);
  return texts;
}

TEST(UnusedKeys, AreNamedWithTheChoiceThatLeavesThemAside) {
  EXPECT_THAT(
      unused({"optimizer.momentum=0.9"}),
      ElementsAre("optimizer.momentum = 0.9 has no effect: it applies only with optimizer.name = sgd or "
                  "rmsprop or lars, not adam"));
  EXPECT_THAT(unused({"optimizer.momentum=0.9", "optimizer.name=sgd"}), IsEmpty());
  EXPECT_THAT(unused({"data.validation_split=0.1"}), IsEmpty());
  EXPECT_THAT(unused({"data.validation_split=0.1", "data.validation=/a.h5:/v"}),
              ElementsAre("data.validation_split = 0.1 has no effect: data.validation is set"));
  EXPECT_THAT(unused({"train.label_smoothing=0.1"}), IsEmpty());
  EXPECT_THAT(
      unused({"train.label_smoothing=0.1"}, TargetKind::values),
      ElementsAre("train.label_smoothing = 0.1 has no effect: it applies to targets that are classes, "
                  "but these are values"));
  EXPECT_THAT(unused({"train.steps=10", "train.epochs=3"}),
              ElementsAre("train.epochs = 3 has no effect: train.steps = 10 takes precedence"));
  EXPECT_THAT(unused({"train.pos_weight=2"}, TargetKind::labels), IsEmpty());
  EXPECT_THAT(
      unused({"train.pos_weight=2"}),
      ElementsAre("train.pos_weight = 2.0 has no effect: it applies to targets that are labels, but these "
                  "are classes"));
  EXPECT_THAT(unused({"schedule.max_lr=1", "schedule.power=2"}), testing::SizeIs(2));
}

TEST(UnusedKeys, ADefaultIsNoChoice) {
  EXPECT_THAT(unused({}), IsEmpty());
  EXPECT_THAT(unused({"optimizer.name=sgd", "schedule.name=cosine"}, TargetKind::values), IsEmpty());
}

/// Else a table with a misspelled key or value would say that a key never does anything.
TEST(UnusedKeys, EveryChoiceInTheTableExists) {
  for (const Option& option : option_table()) {
    for (const UsedWith& used : option.used_with) {
      if (used.key == kTargets) continue;
      const auto other = std::ranges::find(option_table(), used.key, &Option::key);
      ASSERT_NE(other, option_table().end()) << option.key << " names " << used.key;
      for (const std::string& value : used.values)
        EXPECT_NO_THROW(parse_config("", "", "", std::vector<std::string>{used.key + "=" + value}))
            << option.key << ": " << used.key << " = " << value;
    }
  }
}

}  // namespace
}  // namespace lockstep
