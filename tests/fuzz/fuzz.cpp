#include "tests/fuzz/fuzz.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "io/probe/probe.h"
#include "src/core/log.h"

namespace lockstep::fuzz {

std::string as_file(const uint8_t* data, size_t size) {
  static const std::string path =
      (std::filesystem::temp_directory_path() / fmt::format("lockstep-fuzz-{}", getpid())).string();
  static const int removed_at_exit = std::atexit([] { std::filesystem::remove(path); });
  (void)removed_at_exit;
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  file.close();
  if (!file) {
    std::fprintf(stderr, "cannot write %s\n", path.c_str());
    std::abort();
  }
  return path;
}

void expect_answer(std::initializer_list<ExitCode> refusals, const std::function<void()>& read) {
  try {
    read();
  } catch (const Error& error) {
    if (std::find(refusals.begin(), refusals.end(), error.code()) != refusals.end() &&
        !std::string(error.what()).empty())
      return;
    std::fprintf(stderr, "refused with exit code %d: %s\n", static_cast<int>(error.code()), error.what());
    std::abort();
  }
}

}  // namespace lockstep::fuzz

/// Files are looked at in a child process, which is this program again.
extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  if (const auto code = lockstep::run_probe(*argc, *argv)) std::_Exit(*code);
  return 0;
}
