#pragma once

#include "src/ops/loss/loss.h"

namespace lockstep {

/// Adds the loss of one of several outputs of a network to the sum of all: total[0] += weight * own[0], and
/// gradient *= weight. With is_first it writes total anew, whose counts of answers and of weights are this
/// output's.
/// own, total: kLossMetrics floats each, as in loss.h, which do not overlap; gradient: of the output, of any
/// shape and real type. Enqueues; does not wait.
void add_output_loss(Exec exec, float weight, bool is_first, ConstTensor own, Tensor gradient, Tensor total);

}  // namespace lockstep
