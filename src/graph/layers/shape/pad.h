#pragma once

#include "src/graph/layers/description.h"

namespace lockstep {

struct PadOptions {
  Extents before = 0, after = 0;
};

namespace layers {
/// x (spatial..., C) -> (before + spatial + after..., C), with one to three spatial axes.
extern const Description<PadOptions> pad;
}  // namespace layers

}  // namespace lockstep
