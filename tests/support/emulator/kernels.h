#pragma once

// Names of kernels, and which have run.
#include <cstddef>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace emulator {

struct Kernel {
  std::string name;  ///< demangled, with template arguments; "?" if it is not in the program's own symbols
  std::vector<std::span<std::byte>> shared;  ///< the __shared__ variables that it declares itself
};

/// What the symbols of the running program say of a kernel.
const Kernel& find_kernel(const void* address);

void note_launch(const std::string& kernel);

/// The names of the kernels that have run since the last call.
std::set<std::string> take_launched_kernels();

}  // namespace emulator
