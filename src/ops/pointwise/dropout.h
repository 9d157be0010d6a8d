#pragma once

#include "src/device/exec.h"
#include "src/ops/micro_batch.h"
#include "src/tensor/tensor.h"

namespace lockstep {

struct DropoutSpec {
  float rate = 0.5f;   ///< probability of zero; the survivors are divided by 1 - rate
  uint64_t seed = 0;   ///< run.seed
  uint64_t layer = 0;  ///< hash of the layer's name
};

/// Inverted dropout (Srivastava et al. 2014, section 10) with a counter-based mask: element e of the sample
/// with global index i survives as a function of (seed, layer, info->step, i, e) only, so neither the number
/// of ranks nor the position in a batch matters. Philox's key is seed ^ layer; its counter is (i, (step <<
/// 32) + e / 4); word e % 4 decides: zero when uniform(word) < rate. `added` is then added, if it is
/// not empty. x, y, added (N, ...) of one real type; sample_index (N) int64. y may alias x or added. The
/// gradient by x is the same function of dy without `added`, so backward calls it again; the mask is
/// recomputed, never stored.
void dropout(Exec exec, const MicroBatchInfo* info, const DropoutSpec& spec, ConstTensor sample_index,
             ConstTensor x, Tensor y, ConstTensor added = {});

}  // namespace lockstep
