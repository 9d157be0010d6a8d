#pragma once

#include <cstdint>

namespace lockstep {

/// Flat buffers of parameters are laid out in blocks of this many floats (256 bytes); a parameter starts at a
/// block and its last block is padded with zeros, so that each block is of one parameter.
inline constexpr int64_t kFlatBlock = 64;

/// What a block of a flat buffer holds.
struct FlatBlock {
  int32_t parameter = 0;  ///< its index, from 0
  bool decays = false;    ///< whether weight decay applies to the parameter
};

}  // namespace lockstep
