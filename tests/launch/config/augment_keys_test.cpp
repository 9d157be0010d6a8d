#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "launch/config/config.h"
#include "launch/config/option_table.h"
#include "src/core/error.h"
#include "src/train/augment/kinds.h"

namespace lockstep {
namespace {

using ::testing::HasSubstr;

Config config_of(const std::string& text, const std::vector<std::string>& sets = {}) {
  return parse_config(text, "test.toml", "/", sets);
}

std::string refusal_of(const std::string& value) {
  try {
    config_of("[data]\naugment = " + value);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    return error.what();
  }
  return "accepted";
}

TEST(AugmentKeys, AListHasNamesAndTables) {
  const Config config = config_of("[data]\naugment = [\"flip\", { name = \"crop\", padding = 4 }]");
  EXPECT_EQ(config.data.augment, (std::vector<AugmentSpec>{{"flip", {}}, {"crop", {{"padding", 4}}}}));
  EXPECT_EQ(config_of("", {"data.augment=flip"}).data.augment, (std::vector<AugmentSpec>{{"flip", {}}}));
  EXPECT_TRUE(config_of("[data]\naugment = []").data.augment.empty());
}

TEST(AugmentKeys, TheEchoHasEveryOptionOfEveryKindAndReadsBack) {
  std::string list;
  for (const AugmentKind& kind : augment_kinds()) list += fmt::format("\"{}\", ", kind.name);
  const Config config = config_of(fmt::format("[data]\naugment = [{}]", list));
  const std::string echo = echo_config(config);
  EXPECT_THAT(echo, HasSubstr("augment = [{ name = \"flip\", probability = 0.5 }, "));
  EXPECT_THAT(echo, HasSubstr("{ name = \"crop\", padding = 0, size = 0 }"));
  EXPECT_EQ(echo_config(config_of(echo)), echo);
}

TEST(AugmentKeys, EveryOptionHasADefaultInItsRange) {
  for (const AugmentKind& kind : augment_kinds())
    for (const AugmentOption& option : kind.options)
      EXPECT_TRUE(option.range.contains(option.standard)) << kind.name << "." << option.name;
}

TEST(AugmentKeys, MistakesAreNamed) {
  EXPECT_THAT(
      refusal_of("[\"RandomCrop\"]"),
      HasSubstr("test.toml:2: data.augment: unknown augmentation 'RandomCrop'. Did you mean 'crop'?"));
  EXPECT_THAT(refusal_of("{ padding = 4 }"), HasSubstr("data.augment: a table needs a name"));
  EXPECT_THAT(refusal_of("{ name = \"crop\", pading = 4 }"),
              HasSubstr("data.augment.crop: unknown key 'pading'. Did you mean 'padding'?"));
  EXPECT_THAT(refusal_of("{ name = \"crop\", padding = 0.5 }"),
              HasSubstr("data.augment.crop.padding: expects an integer"));
  EXPECT_THAT(refusal_of("{ name = \"flip\", probability = 2 }"),
              HasSubstr("data.augment.flip.probability: must be from 0 to 1, is 2"));
  EXPECT_THAT(refusal_of("[3]"), HasSubstr("data.augment: expects names or tables"));
  EXPECT_THAT(refusal_of("\"none\""), HasSubstr("data.augment: write [] for none"));
}

TEST(AugmentKeys, TheHelpListsEveryKind) {
  const std::string help = config_help();
  for (const AugmentKind& kind : augment_kinds())
    EXPECT_THAT(help, HasSubstr(fmt::format("\n        {}: ", kind.name)));
}

}  // namespace
}  // namespace lockstep
