#pragma once

#include <memory>

#include "src/device/exec.h"
#include "src/tensor/tensor.h"

namespace lockstep {

struct Conv2dSpec {
  int64_t n = 0, h = 0, w = 0, c = 0;  ///< input
  int64_t k = 0, r = 0, s = 0;         ///< filters, and their height and width
  int64_t stride_h = 1, stride_w = 1;
  int64_t pad_h = 0, pad_w = 0;  ///< rows and columns of zeros on both sides
  int64_t dilation_h = 1, dilation_w = 1;
  int64_t groups = 1;
  bool bias = true;
  bool relu = false;  ///< forward stores max(0, .); backward then expects a gradient already masked by y > 0
  bool needs_dx = true;  ///< false for a first layer: nobody reads the gradient of the data

  int64_t out_h() const { return (h + 2 * pad_h - dilation_h * (r - 1) - 1) / stride_h + 1; }
  int64_t out_w() const { return (w + 2 * pad_w - dilation_w * (s - 1) - 1) / stride_w + 1; }
};

/// Two-dimensional cross-correlation, channels-last, for one fixed set of shapes, planned when constructed:
/// oneDNN on the CPU (one thread), cuDNN with deterministic algorithms and without TF32 on CUDA.
class Conv2d {
 public:
  Conv2d(Exec exec, const Conv2dSpec& spec);
  ~Conv2d();
  Conv2d(Conv2d&&) noexcept;

  /// Bytes of scratch memory that forward and backward need; its contents mean nothing between calls.
  size_t workspace_bytes() const;

  /// x (N, H, W, C); w (K, R, S, C/groups); b (K) or empty; y (N, out_h, out_w, K), aliases nothing.
  /// Enqueues on the Exec of construction; does not wait. Throws Error(bug) on a shape mismatch.
  void forward(ConstTensor x, ConstTensor w, ConstTensor b, Tensor y, Tensor workspace);

  /// dy (N, out_h, out_w, K). dx (N, H, W, C) or empty; dw and db (or empty) are overwritten, not added to.
  /// Without dw there is no db either.
  void backward(ConstTensor x, ConstTensor w, ConstTensor dy, Tensor dx, Tensor dw, Tensor db,
                Tensor workspace);

 private:
  struct Cpu;
  struct Cuda;
  Exec exec_;
  Conv2dSpec spec_;
  std::unique_ptr<Cpu> cpu_;
  std::shared_ptr<Cuda> cuda_;  ///< not shared: a shared_ptr needs no ~Cuda in a CPU-only build
};

}  // namespace lockstep
