#pragma once

// Runs the threads of one block of a kernel after the other, each until it must wait for others.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "tests/support/emulator/device_functions.h"

namespace emulator {

/// Runs every thread of a block, in an order that random_below() decides. Throws std::runtime_error with a
/// sentence that names the line when threads wait for others that do not come.
void run_block(uint3 block, dim3 block_size, dim3 grid_size, const std::function<void()>& body,
               const std::string& kernel);

/// Notes as a mistake of the kernel that the thread that runs does `act` if it has not waited for the kernel
/// before: run_block() throws for it.
void require_waited(const char* act);

}  // namespace emulator
