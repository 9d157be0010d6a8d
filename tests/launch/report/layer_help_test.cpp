#include "launch/report/layer_help.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "models/file/layer_options.h"
#include "src/graph/layers/layers.h"

namespace lockstep {
namespace {

TEST(LayerHelp, NamesEveryKindAndOptionIn80Columns) {
  const std::string help = layer_help();
  for (const LayerKind& kind : layer_kinds()) {
    EXPECT_THAT(help, testing::HasSubstr("\n" + kind.name + " "));
    for (const LayerOption& option : kind.options)
      EXPECT_THAT(help, testing::HasSubstr("\n  " + option.name + " ")) << kind.name;
  }
  for (const char* common : {"kind", "name", "input", "inputs"})
    EXPECT_THAT(help, testing::HasSubstr(std::string("\n  ") + common + " "));
  std::istringstream lines(help);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80u) << line;
}

TEST(LayerHelp, JsonHoldsTheSameTable) {
  const Json json = layer_json();
  ASSERT_EQ(json["kinds"].size(), layer_kinds().size());
  const auto conv =
      std::ranges::find_if(json["kinds"], [](const Json& kind) { return kind["kind"] == "conv2d"; });
  ASSERT_NE(conv, json["kinds"].end());
  const Json& options = (*conv)["options"];
  EXPECT_EQ(options[0]["name"], "filters");
  EXPECT_EQ(options[0]["required"], true);
  EXPECT_TRUE(options[0]["default"].is_null());
  EXPECT_EQ(options[2]["name"], "stride");
  EXPECT_EQ(options[2]["default"], Json::array({1}));
  EXPECT_EQ(json["every_layer"].size(), common_layer_options().size());
  EXPECT_FALSE(json["initializers"].empty());
}

}  // namespace
}  // namespace lockstep
