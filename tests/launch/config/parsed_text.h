#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "launch/config/config.h"
#include "src/core/error.h"

namespace lockstep {

/// The config of a text, as that of a file in the folder /data/configs.
inline Config parse(const std::string& text, const std::vector<std::string>& sets = {}) {
  return parse_config(text, "test.toml", "/data/configs", sets);
}

/// The message that refuses a text, or "accepted".
inline std::string refusal(const std::string& text, const std::vector<std::string>& sets = {}) {
  try {
    parse(text, sets);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage) << error.what();
    return error.what();
  }
  return "accepted";
}

}  // namespace lockstep
