#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/binary.h"

// The real program, as a user meets it.

namespace lockstep {

namespace fs = std::filesystem;

struct Outcome {
  int exit_code = -1;
  std::string out, err;
};

inline std::string read_all(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// An empty folder, removed at the end, in which commands run.
class CommandLine : public ::testing::Test {
 protected:
  CommandLine() {
    std::string name = (fs::temp_directory_path() / "lockstep-command-line-XXXXXX").string();
    root_ = mkdtemp(name.data());
    fs::create_directory(work());
  }
  ~CommandLine() override { fs::remove_all(root_); }

  fs::path work() const { return root_ / "work"; }

  void write(const std::string& name, const std::string& text) const { std::ofstream(work() / name) << text; }

  std::vector<std::string> left_behind() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(work()))
      names.push_back(fs::relative(entry.path(), work()).string());
    std::sort(names.begin(), names.end());
    return names;
  }

  /// Runs lockstep in work() through the shell, with its own home folder.
  Outcome run(const std::string& arguments) const {
    const std::string command = "cd " + work().string() + " && HOME=" + root_.string() +
                                " XDG_CACHE_HOME= exec " + lockstep_binary() + " " + arguments + " >" +
                                (root_ / "out").string() + " 2>" + (root_ / "err").string() + " </dev/null";
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_all(root_ / "out"),
            read_all(root_ / "err")};
  }

 private:
  fs::path root_;
};

}  // namespace lockstep
