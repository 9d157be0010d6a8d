#pragma once

#include <optional>

#include "src/ops/matmul/matmul.h"

namespace lockstep {

struct LinearSpec {
  int64_t rows = 0, in = 0, out = 0;
  bool bias = true;
  bool adds = false;                          ///< a tensor like y is added
  std::optional<Activation> activation = {};  ///< applied to the sum: relu, gelu or gelu_tanh
  bool needs_dx = true;       ///< false for a first layer: nobody reads the gradient of the data
  bool adds_to_dx = false;    ///< backward adds to what dx holds
  DType type = DType::f32;    ///< of x, w and the gradients dy and dx
  DType result = DType::f32;  ///< of y and b: f32, or `type`
  bool tf32 = false;          ///< see MatmulSpec
};

/// y = activation(x w^T + b + added): three matrix products of fixed shapes.
class Linear {
 public:
  Linear(Exec exec, const LinearSpec& spec);

  size_t workspace_bytes() const;

  /// x (rows, in); w (out, in); b (out) or empty; y (rows, out), aliases nothing; added like y or empty; with
  /// a GELU, sum like y is overwritten with what it is applied to. Enqueues; does not wait.
  void forward(ConstTensor x, ConstTensor w, ConstTensor b, Tensor y, Tensor workspace,
               ConstTensor added = {}, Tensor sum = {});

  /// dy (rows, out); with an activation, it becomes the gradient before it, for which `kept` is read: the sum
  /// of a GELU, the y of a ReLU. dx (rows, in) or empty; dw (out, in, or empty) and db (out, or empty), both
  /// f32. They are overwritten, not added to, but for the spec's adds_to_dx. The gradient of `added` is dy.
  void backward(ConstTensor x, ConstTensor w, ConstTensor kept, Tensor dy, Tensor dx, Tensor dw, Tensor db,
                Tensor workspace);

 private:
  Exec exec_;
  LinearSpec spec_;
  Matmul forward_;
  std::optional<Matmul> backward_data_;
  Matmul backward_weights_;
};

}  // namespace lockstep
