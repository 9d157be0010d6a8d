#include "models/file/toml_advice.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(TomlAdvice, SaysHowAValueIsWritten) {
  EXPECT_EQ(toml_advice("[data]\ntrain = d.h5  # mine", 2), ". Text goes in quotes: train = \"d.h5\"");
  EXPECT_EQ(toml_advice("train = ~/d.h5", 1), ". Text goes in quotes: train = \"~/d.h5\"");
  EXPECT_EQ(toml_advice("reproducible = True\r\n", 1), ". Write true for True");
  EXPECT_EQ(toml_advice("train = \"d.h5", 1), ". Is the closing quote missing?");
  EXPECT_EQ(toml_advice("train = \"C:\\data\\d.h5\"", 1),
            ". A backslash in double quotes begins an escape: write \\\\, or put the text in single quotes");
  EXPECT_EQ(toml_advice("epochs =", 1), ". A value is missing behind '='");
  EXPECT_EQ(toml_advice("lr = 1e", 1), "");
}

TEST(TomlAdvice, KnowsWhatElseAFileMayBe) {
  EXPECT_EQ(toml_advice("train:\n  epochs: 3", 1),
            ". This looks like YAML: a TOML file holds [section] and key = value");
  EXPECT_EQ(toml_advice("{\"train\": {}}", 1),
            ". This looks like JSON: a TOML file holds [section] and key = value");
  EXPECT_EQ(toml_advice("\x89HDF\r\n\x1a\n", 1), ". This is an HDF5 file, where a TOML file is expected");
  EXPECT_EQ(toml_advice(std::string("a\0b", 3), 1), ". This is not a text file");
  EXPECT_EQ(toml_advice("a", 9), "");
}

}  // namespace
}  // namespace lockstep
