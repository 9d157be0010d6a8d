#include "src/core/text/wildcard.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(Wildcard, AStarStandsForAnything) {
  for (const char* text : {"conv1", "conv", "conv.1.weight"}) EXPECT_TRUE(matches("conv*", text)) << text;
  for (const char* text : {"xconv1", "con", ""}) EXPECT_FALSE(matches("conv*", text)) << text;
  EXPECT_TRUE(matches("*", ""));
  EXPECT_TRUE(matches("*.bias", "layer1.0.bias"));
  EXPECT_TRUE(matches("layer*.conv*", "layer1.0.conv2.weight"));
  EXPECT_FALSE(matches("layer*.conv", "layer1.0.conv2"));
  EXPECT_TRUE(matches("a*b*c", "aXbYbZc"));
  EXPECT_TRUE(matches("**a", "ba"));
}

TEST(Wildcard, ANameOrABlockThatItIsIn) {
  for (const char* pattern : {"layer1.0.conv2.weight", "layer1.0.conv2", "layer1", "layer*", "*conv*", "*.0"})
    EXPECT_TRUE(matches_name_or_block(pattern, "layer1.0.conv2.weight")) << pattern;
  for (const char* pattern : {"layer", "layer1.0.conv", "0.conv2", "weight", ""})
    EXPECT_FALSE(matches_name_or_block(pattern, "layer1.0.conv2.weight")) << pattern;
}

TEST(Wildcard, EverythingElseStandsForItself) {
  EXPECT_TRUE(matches("conv1", "conv1"));
  EXPECT_FALSE(matches("conv1", "conv11"));
  EXPECT_FALSE(matches("conv?", "conv1"));
  EXPECT_FALSE(matches("c.nv1", "conv1"));
  EXPECT_TRUE(matches("", ""));
}

}  // namespace
}  // namespace lockstep
