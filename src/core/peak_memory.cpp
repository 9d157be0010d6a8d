#include "src/core/peak_memory.h"

#include <fstream>
#include <string>

namespace lockstep {

int64_t peak_host_bytes() {
  constexpr const char* kField = "VmHWM:";  // then "  1234 kB"
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(kField)) return 1024 * std::stoll(line.substr(std::string(kField).size()));
  return 0;
}

}  // namespace lockstep
