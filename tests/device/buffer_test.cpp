#include "src/device/buffer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "src/core/error.h"

namespace lockstep {
namespace {

// The system would promise this much, and end the process when it is used.
TEST(Buffer, RefusesAllTheMemoryOfTheMachine) {
  const size_t everything =
      static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
  try {
    const Buffer buffer({}, Memory::host, everything);
    FAIL() << "it was allocated";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::memory);
    EXPECT_NE(std::string(error.what()).find("out of host memory"), std::string::npos);
  }
}

}  // namespace
}  // namespace lockstep
