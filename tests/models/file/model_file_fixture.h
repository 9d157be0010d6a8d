#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include "models/registry.h"
#include "src/core/error.h"

namespace lockstep {

/// Builds models from the text of a file.
class ModelFile : public testing::Test {
 protected:
  ModelFile()
      : folder_(std::filesystem::temp_directory_path() / ("lockstep-model-" + std::to_string(getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~ModelFile() override { std::filesystem::remove_all(folder_); }

  Graph build(const std::string& text, const Shape& input, int64_t outputs = 10) {
    return build(text, Value{DType::f32, input}, outputs);
  }
  Graph build(const std::string& text, const Value& input, int64_t outputs = 10) {
    std::ofstream(path()) << text;
    return build_model({.name = "", .file = path()}, input, {outputs}, 1);
  }

  std::string error_of(const std::string& text, const Shape& input = {8, 8, 3}) {
    try {
      build(text, input);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::usage);
      const std::string what = error.what();
      return what.starts_with(path()) ? what.substr(path().size()) : what;
    }
    return "no error";
  }

  std::string path() const { return folder_ / "net.toml"; }
  std::filesystem::path folder_;
};

}  // namespace lockstep
