#pragma once

#include <cstddef>
#include <cstdint>

namespace lockstep {

/// Moves the middle of three axes to the front: from (outer, rows, inner) to (rows, outer, inner), of
/// elements of `bytes` each. The arrays do not overlap.
void move_axis_first(const std::byte* from, int64_t outer, int64_t rows, int64_t inner, size_t bytes,
                     std::byte* to);

}  // namespace lockstep
