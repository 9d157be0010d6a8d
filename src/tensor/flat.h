#pragma once

#include <cstdint>

namespace lockstep {

/// Flat buffers of parameters consist of blocks of this many floats (256 bytes). Each parameter starts at a
/// block and its last block is padded with zeros, so that a block belongs to one parameter.
inline constexpr int64_t kFlatBlock = 64;

/// The contents of a block of a flat buffer.
struct FlatBlock {
  int32_t parameter = 0;  ///< its index, from 0
  bool decays = false;    ///< whether weight decay applies to the parameter
  float lr_scale = 1;     ///< times the learning rate
};

}  // namespace lockstep
