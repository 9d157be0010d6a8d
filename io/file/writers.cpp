#include "io/file/writers.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <sstream>

namespace lockstep {

std::vector<std::string> describe_writers(const std::vector<std::string>& files) {
  // "1: FLOCK  ADVISORY  WRITE 123 08:01:4567 0 EOF": kind, process, and device and inode of the file.
  std::map<std::string, long> writers;
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    std::istringstream words(line);
    std::string number, kind, strictness, access, file;
    long process = 0;
    if (!(words >> number >> kind >> strictness >> access >> process >> file)) continue;
    if (access == "WRITE" && process != getpid()) writers[file] = process;
  }
  std::vector<std::string> sentences;
  for (const std::string& path : files) {
    struct stat status {};
    if (writers.empty() || stat(path.c_str(), &status) != 0) continue;
    const auto found = writers.find(
        fmt::format("{:02x}:{:02x}:{}", major(status.st_dev), minor(status.st_dev), status.st_ino));
    if (found == writers.end()) continue;
    std::string program;
    std::ifstream comm(fmt::format("/proc/{}/comm", found->second));
    std::getline(comm, program);
    sentences.push_back(
        fmt::format("{} is open for writing in another process ({}{}{}). It can be read only as long as "
                    "nothing is written to it.",
                    path, program, program.empty() ? "" : ", ", found->second));
  }
  return sentences;
}

}  // namespace lockstep
