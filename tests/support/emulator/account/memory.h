#pragma once

#include <cstddef>

namespace emulator::account {

/// The first of kMemoryBytes.
std::byte* memory_begin();

}  // namespace emulator::account
