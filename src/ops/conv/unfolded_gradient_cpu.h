#pragma once

#include <cstddef>
#include <cstdint>

#include "src/ops/conv/conv.h"
#include "src/ops/matmul/matmul.h"

namespace lockstep {

/// The gradient of the filters on the CPU as one product of matrices: the gradient of the result, transposed,
/// times the data unfolded into a row for each position of the window (Chellapilla, Puri and Simard 2006).
class UnfoldedGradient {
 public:
  /// Whether this is the faster way: where the unfolded data has no more rows than there are filters.
  /// oneDNN's kernel for convolutions then has too few positions to fill its registers with, and a gradient
  /// to reorder that is larger than the unfolded data.
  static bool suits(const ConvSpec& spec);

  explicit UnfoldedGradient(const ConvSpec& spec);

  size_t workspace_bytes() const { return unfolded_bytes_ + product_.workspace_bytes(); }
  /// data, dresult and dw have the shapes data(), result() and weights() of the spec; db (filters) or empty.
  /// dw and db are overwritten.
  void run(ConstTensor data, ConstTensor dresult, Tensor dw, Tensor db, Tensor workspace);

 private:
  ConvSpec spec_;
  int64_t rows_, columns_;
  size_t unfolded_bytes_;  ///< at the start of the workspace
  Matmul product_;
};

}  // namespace lockstep
