#include "src/ops/matmul/linear.h"

#include <algorithm>

#include "src/ops/check.h"
#include "src/ops/pointwise/bias.h"

namespace lockstep {

Linear::Linear(Exec exec, const LinearSpec& spec)
    : exec_(exec),
      spec_(spec),
      forward_(exec, {.m = spec.rows,
                      .n = spec.out,
                      .k = spec.in,
                      .transpose_b = true,
                      .bias = spec.bias,
                      .adds = spec.adds,
                      .activation = spec.activation,
                      .type = spec.type,
                      .result = spec.result,
                      .tf32 = spec.tf32}),
      backward_weights_(exec, {.m = spec.out,
                               .n = spec.in,
                               .k = spec.rows,
                               .transpose_a = true,
                               .type = spec.type,
                               .tf32 = spec.tf32}) {
  if (spec.needs_dx)
    backward_data_.emplace(exec, MatmulSpec{.m = spec.rows,
                                            .n = spec.in,
                                            .k = spec.out,
                                            .type = spec.type,
                                            .result = spec.type,
                                            .tf32 = spec.tf32,
                                            .accumulates = spec.adds_to_dx});
}

size_t Linear::workspace_bytes() const {
  return std::max({forward_.workspace_bytes(), backward_weights_.workspace_bytes(),
                   backward_data_ ? backward_data_->workspace_bytes() : 0});
}

void Linear::forward(ConstTensor x, ConstTensor w, ConstTensor b, Tensor y, Tensor workspace,
                     ConstTensor added, Tensor sum) {
  forward_.run(x, w, b, y, workspace, added, sum);
}

void Linear::backward(ConstTensor x, ConstTensor w, ConstTensor kept, Tensor dy, Tensor dx, Tensor dw,
                      Tensor db, Tensor workspace) {
  INVARIANT(spec_.needs_dx || !dx, "linear: dx was declared unneeded");
  if (spec_.activation)
    bias_activation_backward(exec_, *spec_.activation, kept, dy, db);
  else if (db)
    bias_backward(exec_, dy, db);
  if (dx) backward_data_->run(dy, w, {}, dx, workspace);
  if (dw) backward_weights_.run(dy, x, {}, dw, workspace);
}

}  // namespace lockstep
