// optimizer.freeze and optimizer.lr_scale as a config spells them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/launch/config/parsed_text.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

TEST(TuningKeys, FreezeIsAPatternOrAListOfThem) {
  const auto freeze = [](const std::string& value) {
    const Config config = parse("[optimizer]\nfreeze = " + value);
    EXPECT_EQ(parse(echo_config(config)).optimizer.tuning.freeze, config.optimizer.tuning.freeze);
    return config.optimizer.tuning.freeze;
  };
  EXPECT_THAT(freeze("\"conv*\""), ElementsAre("conv*"));
  EXPECT_THAT(freeze("[\"conv*\", \"fc.bias\"]"), ElementsAre("conv*", "fc.bias"));
  EXPECT_THAT(freeze("[]"), ElementsAre());
  EXPECT_THAT(parse("", {"optimizer.freeze=conv*"}).optimizer.tuning.freeze, ElementsAre("conv*"));
  EXPECT_THAT(refusal("[optimizer]\nfreeze = [1]"), HasSubstr("optimizer.freeze: expects a list of names"));
  EXPECT_THAT(refusal("[optimizer]\nfreeze = \"\""), HasSubstr("a pattern is empty; [] freezes nothing"));
}

TEST(TuningKeys, ADotOfAPatternNeedsNoQuotes) {
  const auto scales = [](const std::string& text, const std::vector<std::string>& sets = {}) {
    const Config config = parse(text, sets);
    EXPECT_EQ(parse(echo_config(config)).optimizer.tuning.lr_scale, config.optimizer.tuning.lr_scale);
    return config.optimizer.tuning.lr_scale;
  };
  EXPECT_THAT(scales("[optimizer]\nlr_scale = { \"conv*\" = 0.1, fc.bias = 2 }"),
              ElementsAre(Pair("conv*", 0.1), Pair("fc.bias", 2)));
  EXPECT_THAT(
      scales("[optimizer.lr_scale]\nlayer1.0 = 0.5\n\"a = \\\"b\\n\" = 3", {"optimizer.lr_scale.fc=4"}),
      ElementsAre(Pair("a = \"b\n", 3), Pair("fc", 4), Pair("layer1.0", 0.5)));
  EXPECT_THAT(scales(""), ElementsAre());
}

TEST(TuningKeys, AScaleIsAboveZero) {
  for (const char* const value : {"0", "-1.5", "1e-60"})
    EXPECT_THAT(refusal(std::string("[optimizer]\nlr_scale = { fc = ") + value + " }"),
                HasSubstr("test.toml:2: optimizer.lr_scale.fc: must be above 0, is "));
  EXPECT_THAT(refusal("[optimizer]\nlr_scale = { fc = 1e60 }"), HasSubstr("1e+60 is too large"));
  EXPECT_THAT(refusal("[optimizer]\nlr_scale = 0.1"),
              HasSubstr("optimizer.lr_scale: expects a table { PATTERN = NUMBER, ... }, found a"));
}

TEST(TuningKeys, InitFromIsRelativeToTheConfig) {
  EXPECT_EQ(parse("[model]\ninit_from = \"../runs/a\"").init_from, "/data/runs/a");
  EXPECT_EQ(parse("").init_from, "");
}

}  // namespace
}  // namespace lockstep
