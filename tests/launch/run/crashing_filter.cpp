// A filter for HDF5 that crashes, as one for which data is damaged may: not in the child process that looks
// at a file first, but in a rank. libhdf5 loads it from HDF5_PLUGIN_PATH.
#include <H5PLextern.h>

#include <csignal>
#include <fstream>
#include <string>

namespace {

bool is_probe() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::string program, first;
  std::getline(file, program, '\0');
  std::getline(file, first, '\0');
  return first == "__probe";
}

size_t crash(unsigned, size_t, const unsigned*, size_t bytes, size_t*, void**) {
  if (!is_probe()) std::raise(SIGSEGV);
  return bytes;
}

const H5Z_class2_t kFilter = {H5Z_CLASS_T_VERS, 300, 1, 1, "crashing", nullptr, nullptr, crash};

}  // namespace

extern "C" {
H5PL_type_t H5PLget_plugin_type() { return H5PL_TYPE_FILTER; }
const void* H5PLget_plugin_info() { return &kFilter; }
}
