#pragma once

#include "src/graph/layers/description.h"

namespace lockstep {

struct PadChannelsOptions {
  int64_t before = 0, after = 0;
};

namespace layers {
/// x (..., C) -> (..., before + C + after).
extern const Description<PadChannelsOptions> pad_channels;
}  // namespace layers

}  // namespace lockstep
