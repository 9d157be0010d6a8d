// Every kernel in the source is run by a test under the emulator.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "tests/io/temporary_folder.h"
#include "tests/support/emulator/kernels.h"
#include "tests/support/run_program.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

constexpr char kLogVariable[] = "LOCKSTEP_KERNEL_LOG";

/// Writes a line "KERNEL<tab>TEST" for each kernel that a test ran.
class KernelLog : public testing::EmptyTestEventListener {
 public:
  explicit KernelLog(const char* path) : file_(path, std::ios::app) {}

 private:
  void OnTestEnd(const testing::TestInfo& test) override {
    for (const std::string& kernel : emulator::take_launched_kernels())
      file_ << kernel << '\t' << test.test_suite_name() << '.' << test.name() << '\n';
  }
  std::ofstream file_;
};

[[maybe_unused]] const bool kLogs = [] {
  const char* const path = std::getenv(kLogVariable);
  if (path != nullptr) testing::UnitTest::GetInstance()->listeners().Append(new KernelLog(path));
  return path != nullptr;
}();

std::vector<std::string> kernels_in(const std::string& text) {
  static const std::regex kernel(R"(__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+))");
  std::vector<std::string> names;
  for (std::sregex_iterator match(text.begin(), text.end(), kernel), end; match != end; ++match)
    names.push_back((*match)[1]);
  return names;
}

/// The names of all kernels and the files they are in. A name is there once only, or one kernel's tests would
/// pass for another's.
std::map<std::string, std::string> kernels_of_the_source() {
  std::map<std::string, std::string> found;
  const fs::path root = LOCKSTEP_SOURCE_DIR;
  for (const char* folder : {"src", "comm", "io", "models", "launch"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      if (!entry.is_regular_file()) continue;
      std::ostringstream text;
      text << std::ifstream(entry.path()).rdbuf();
      const std::string path = fs::relative(entry.path(), root).string();
      for (const std::string& name : kernels_in(text.str())) {
        EXPECT_FALSE(found.contains(name)) << name << " is in " << found[name] << " and in " << path;
        found[name] = path;
      }
    }
  }
  return found;
}

/// "update_kernel" of "void lockstep::cuda::(anonymous namespace)::update_kernel<lockstep::cuda::Adam>".
std::string bare_name(std::string name) {
  static const std::regex last_word(R"((\w+)$)");
  name = name.substr(0, name.find("_kernel") + 7);
  std::smatch match;
  return std::regex_search(name, match, last_word) ? match[1].str() : name;
}

TEST(KernelCoverage, EveryKernelIsRunByATest) {
  const TemporaryFolder folder;
  const std::string log = folder / "kernels";
  // Another order of threads and streams than in the run of the tests themselves. Without the golden
  // files, whose kernels the tests of operations run too.
  const ProgramResult result =
      run_program({"env", std::string(kLogVariable) + "=" + log, "LOCKSTEP_EMULATOR_SEED=2",
                   fs::read_symlink("/proc/self/exe").string(), "--gtest_filter=*/cuda*:-Golden/*"},
                  folder.path(), /*seconds=*/3600);
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;

  std::map<std::string, std::set<std::string>> variants, tests;
  std::ifstream lines(log);
  for (std::string kernel, test; std::getline(lines, kernel, '\t') && std::getline(lines, test);) {
    variants[bare_name(kernel)].insert(kernel);
    tests[bare_name(kernel)].insert(test);
  }
  for (const auto& [name, path] : kernels_of_the_source()) {
    EXPECT_TRUE(tests.contains(name)) << name << " in " << path << " is run by no test";
    std::cout << name << " (" << path << ", variants run: " << variants[name].size() << ")\n";
    for (const std::string& test : tests[name]) std::cout << "    " << test << "\n";
  }
}

TEST(KernelCoverage, FindsKernelsHoweverTheyAreDeclared) {
  EXPECT_THAT(kernels_in("__global__ void a_kernel(int);\ntemplate <typename T>\n__global__ void\n"
                         "__launch_bounds__(256) b_kernel(T x) {}"),
              testing::ElementsAre("a_kernel", "b_kernel"));
  EXPECT_EQ(bare_name("void lockstep::cuda::(anonymous namespace)::a_kernel<lockstep::cuda::Adam>"),
            "a_kernel");
  EXPECT_EQ(bare_name("lockstep::cuda::b_kernel"), "b_kernel");
}

}  // namespace
}  // namespace lockstep
