#include "launch/process/host.h"

#include <cstdlib>
#include <fstream>

namespace lockstep {

std::string proc_field(const char* file, const std::string& name) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(name)) continue;
    const size_t value = line.find_first_not_of(" \t", line.find(':') + 1);
    return value == std::string::npos ? "" : line.substr(value);
  }
  return "";
}

int64_t host_memory(const std::string& name) {
  return std::strtoll(proc_field("/proc/meminfo", name).c_str(), nullptr, 10) << 10;
}

std::optional<int64_t> memory_limit() {
  for (const char* file : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    std::ifstream in(file);
    int64_t bytes = 0;
    if (in >> bytes && bytes < (int64_t{1} << 60)) return bytes;
  }
  return std::nullopt;
}

}  // namespace lockstep
