#pragma once

#include "src/graph/layers/description.h"

namespace lockstep {

struct PositionalEmbeddingOptions {
  int64_t positions = 0;
  Init init = Init::normal;
  double deviation = 0.02;  ///< of init = normal
};

namespace layers {
/// x (T, C) -> x + weight[0:T], weight (positions, C).
extern const Description<PositionalEmbeddingOptions> positional_embedding;
}  // namespace layers

}  // namespace lockstep
