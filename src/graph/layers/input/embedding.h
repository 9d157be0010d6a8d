#pragma once

#include "src/graph/graph.h"
#include "src/graph/layers/description.h"

namespace lockstep {

struct EmbeddingOptions {
  int64_t entries = 0, width = 0;
  Init init = Init::normal;
  double deviation = 1;  ///< of init = normal
};

namespace layers {
/// ids (...) int32 -> (..., width): looks up a trained vector for each id.
extern const Description<EmbeddingOptions> embedding;
}  // namespace layers

/// Throws Error(usage), naming the layer, if an embedding that reads the network's input has fewer than `ids`
/// entries: looking up an id beyond the table is undefined behavior.
void check_entries(const Graph& graph, int64_t ids);

}  // namespace lockstep
