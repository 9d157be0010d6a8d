#pragma once

#include "src/graph/graph.h"
#include "src/graph/layers/description.h"

namespace lockstep {

struct EmbeddingOptions {
  int64_t entries = 0, width = 0;
  Init init = Init::normal;
};

namespace layers {
/// ids (...) int32 -> (..., width) float32: the vector of each id, which is trained.
extern const Description<EmbeddingOptions> embedding;
}  // namespace layers

/// Throws Error(usage), naming the layer, when an embedding of the network's input has fewer entries than
/// there are ids, 0 to `ids` - 1: what an id that is too large gives is not defined.
void check_entries(const Graph& graph, int64_t ids);

}  // namespace lockstep
