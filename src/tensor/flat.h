#pragma once

#include <cstdint>

namespace lockstep {

/// Flat buffers of parameters are laid out in blocks of this many floats (256 bytes); a parameter starts at a
/// block and its last block is padded with zeros, so one byte a block says what applies to it.
inline constexpr int64_t kFlatBlock = 64;

}  // namespace lockstep
