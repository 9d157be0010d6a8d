#pragma once

#include <functional>

#include "tests/support/emulator/account/counts.h"

namespace emulator::account {

struct LaunchCounts {
  Counts sum;
  uint64_t emulated = 0;
};

/// The counts of a launch of this many blocks. emulate(block, touch) runs one. Where many blocks in a row
/// repeat what the same number of blocks before them did, their counts follow from those.
LaunchCounts count_blocks(uint64_t blocks, bool all,
                          const std::function<Counts(uint64_t block, Touch touch)>& emulate);

}  // namespace emulator::account
