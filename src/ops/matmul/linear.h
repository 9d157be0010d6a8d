#pragma once

#include <optional>

#include "src/ops/matmul/matmul.h"

namespace lockstep {

struct LinearSpec {
  int64_t rows = 0, in = 0, out = 0;
  bool bias = true;
  bool relu = false;  ///< forward stores max(0, .); backward then expects a gradient already masked by y > 0
  bool needs_dx = true;       ///< false for a first layer: nobody reads the gradient of the data
  DType type = DType::f32;    ///< of x, w and the gradients dy and dx
  DType result = DType::f32;  ///< of y and b: f32, or `type`
  bool tf32 = false;          ///< see MatmulSpec
};

/// y = x w^T + b: three matrix products of fixed shapes.
class Linear {
 public:
  Linear(Exec exec, const LinearSpec& spec);

  size_t workspace_bytes() const;

  /// x (rows, in); w (out, in); b (out) or empty; y (rows, out), aliases nothing. Enqueues; does not wait.
  void forward(ConstTensor x, ConstTensor w, ConstTensor b, Tensor y, Tensor workspace);

  /// dy (rows, out). dx (rows, in) or empty; dw (out, in, or empty) and db (out, or empty), both f32, are
  /// overwritten, not added to.
  void backward(ConstTensor x, ConstTensor w, ConstTensor dy, Tensor dx, Tensor dw, Tensor db,
                Tensor workspace);

 private:
  Exec exec_;
  LinearSpec spec_;
  Matmul forward_;
  std::optional<Matmul> backward_data_;
  Matmul backward_weights_;
};

}  // namespace lockstep
