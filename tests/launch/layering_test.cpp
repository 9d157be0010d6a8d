#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

// Which folder may include which, and where the headers of other people's libraries may be seen:
// docs/architecture.md.

namespace lockstep {
namespace {

namespace fs = std::filesystem;

/// A folder may include itself and these.
const std::map<std::string, std::set<std::string>>& allowed() {
  static const std::set<std::string> base = {"src/core", "src/device", "src/tensor"};
  static const auto with = [](std::set<std::string> more) {
    more.insert(base.begin(), base.end());
    return more;
  };
  static const std::map<std::string, std::set<std::string>> rules = {
      {"src/core", {}},
      {"src/device", {"src/core"}},
      {"src/tensor", {"src/core", "src/device"}},
      {"src/ops", base},
      {"comm", base},
      {"io", base},
      {"src/graph", with({"src/ops"})},
      {"src/optim", with({"src/ops"})},
      {"models", with({"src/ops", "src/graph"})},
      {"src/train", with({"src/ops", "src/graph", "src/optim", "comm", "io"})},
      {"launch", with({"src/ops", "src/graph", "src/optim", "src/train", "comm", "io", "models"})},
  };
  return rules;
}

/// What may be seen only where the path matches.
struct Fence {
  const char* what;
  std::regex seen;
  std::regex where;
};

const std::vector<Fence>& fences() {
  static const std::vector<Fence> all = {
      {"CUDA, cuBLAS and cuDNN stay in src/device and .cu files",
       std::regex(R"(#include\s*[<"](cuda|cublas|cudnn|cooperative_groups|cub/|thrust/))"),
       std::regex(R"(src/device/.*|.*\.cuh?)")},
      {"MPI stays in comm", std::regex(R"(#include\s*[<"]mpi\.h)"), std::regex(R"(comm/.*)")},
      {"NCCL stays in comm", std::regex(R"(#include\s*[<"]nccl)"), std::regex(R"(comm/.*)")},
      {"HDF5 stays in io", std::regex(R"(#include\s*[<"](hdf5|H5))"), std::regex(R"(io/.*)")},
      {"oneDNN stays in src/ops", std::regex(R"(#include\s*[<"](dnnl|oneapi))"), std::regex(R"(src/ops/.*)")},
      {"CLI11 stays behind launch/commands/command_line.h", std::regex(R"(#include\s*[<"]CLI/)"),
       std::regex(R"(launch/commands/(command_line|mistakes)\.cpp)")},
      {"getenv stays in launch, but for libhdf5's own variables", std::regex(R"(\bgetenv\s*\()"),
       std::regex(R"(launch/.*|io/hdf5/sources/search\.cpp)")},
      {"kernels start through launch()", std::regex(R"(<<<)"), std::regex(R"(src/device/kernels/launch\.h)")},
  };
  return all;
}

/// "src/ops" of "src/ops/cpu/x.h", "io" of "io/x.h"; "" if it is in none of the folders.
std::string folder_of(const std::string& path) {
  for (const auto& [folder, unused] : allowed()) {
    if (path.starts_with(folder + "/")) return folder;
  }
  return "";
}

std::vector<std::string> violations(const std::string& path, std::istream& text) {
  static const std::regex include(R"re(^\s*#\s*include\s*"([^"]+)")re");
  static const std::regex comment(R"(//.*)");
  std::vector<std::string> found;
  const std::string folder = folder_of(path);
  int number = 0;
  for (std::string line; std::getline(text, line);) {
    ++number;
    const std::string code = std::regex_replace(line, comment, "");
    const std::string where = path + ":" + std::to_string(number) + ": ";
    if (std::smatch match; std::regex_search(code, match, include)) {
      const std::string other = folder_of(match[1]);
      if (other.empty() && !match[1].str().starts_with("tests/")) {
        // Not a path from the root: either a vendor's header, which the fences judge, or a relative path.
        if (match[1].str().find("..") != std::string::npos) found.push_back(where + "a relative include");
      } else if (other != folder && !allowed().at(folder).contains(other)) {
        found.push_back(where + folder + " may not include " + match[1].str());
      }
    }
    for (const Fence& fence : fences()) {
      if (std::regex_search(code, fence.seen) && !std::regex_match(path, fence.where))
        found.push_back(where + fence.what);
    }
  }
  return found;
}

std::vector<std::string> violations_in(const std::string& path, const std::string& text) {
  std::istringstream stream(text);
  return violations(path, stream);
}

TEST(Layering, HoldsInEverySourceFile) {
  const fs::path root = LOCKSTEP_SOURCE_DIR;
  int files = 0;
  for (const auto& [folder, unused] : allowed()) {
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      const std::string extension = entry.path().extension().string();
      if (extension != ".h" && extension != ".cpp" && extension != ".cu" && extension != ".cuh") continue;
      std::ifstream text(entry.path());
      const std::string path = fs::relative(entry.path(), root).string();
      EXPECT_THAT(violations(path, text), ::testing::IsEmpty());
      ++files;
    }
  }
  EXPECT_GT(files, 60) << "the folders have moved";
}

TEST(Layering, TheCheckSeesEachKindOfViolation) {
  EXPECT_THAT(violations_in("io/a.cpp", "#include \"comm/collectives/world.h\""), ::testing::SizeIs(1));
  EXPECT_THAT(violations_in("comm/a.cpp", "#include \"src/graph/graph.h\""), ::testing::SizeIs(1));
  EXPECT_THAT(violations_in("src/core/a.h", "#include \"src/tensor/tensor.h\""), ::testing::SizeIs(1));
  EXPECT_THAT(violations_in("src/train/a.h", "#include \"models/registry.h\""), ::testing::SizeIs(1));
  EXPECT_THAT(violations_in("src/train/a.h", "#include \"tests/support/x.h\""), ::testing::SizeIs(1));
  EXPECT_THAT(violations_in("src/ops/a.cpp", "#include \"../graph/graph.h\""), ::testing::SizeIs(1));
  EXPECT_THAT(violations_in("src/ops/a.cpp", "#include <cuda_runtime.h>"), ::testing::SizeIs(1));
  EXPECT_THAT(violations_in("launch/a.cpp", "#include <mpi.h>"), ::testing::SizeIs(1));
  EXPECT_THAT(violations_in("launch/a.cpp", "#include <nccl.h>"), ::testing::SizeIs(1));
  EXPECT_THAT(violations_in("launch/a.cpp", "#include <hdf5.h>"), ::testing::SizeIs(1));
  EXPECT_THAT(violations_in("src/graph/a.cpp", "#include <dnnl.hpp>"), ::testing::SizeIs(1));
  EXPECT_THAT(violations_in("launch/main.cpp", "#include <CLI/CLI.hpp>"), ::testing::SizeIs(1));
  EXPECT_THAT(violations_in("comm/a.cpp", "const char* home = std::getenv(\"HOME\");"), ::testing::SizeIs(1));
  EXPECT_THAT(violations_in("src/ops/a.cu", "kernel<<<1, 2>>>();"), ::testing::SizeIs(1));
}

TEST(Layering, TheCheckLetsTheRestPass) {
  EXPECT_THAT(violations_in("src/ops/a.cu", "#include <cuda_runtime.h>\n// kernel<<<1, 2>>>\n"),
              ::testing::IsEmpty());
  EXPECT_THAT(violations_in("launch/a.cpp", "#include \"src/train/run/trainer.h\"\nstd::getenv(\"HOME\");"),
              ::testing::IsEmpty());
  EXPECT_THAT(violations_in("src/graph/layers/a.cpp", "#include \"src/graph/layers/layers.h\""),
              ::testing::IsEmpty());
}

}  // namespace
}  // namespace lockstep
