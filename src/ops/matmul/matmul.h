#pragma once

#include <memory>
#include <optional>

#include "src/device/exec.h"
#include "src/ops/pointwise/activation.h"
#include "src/tensor/tensor.h"

namespace lockstep {

struct MatmulSpec {
  int64_t m = 0, n = 0, k = 0;
  bool transpose_a = false;                   ///< a is stored (k, m) instead of (m, k)
  bool transpose_b = false;                   ///< b is stored (n, k) instead of (k, n)
  bool bias = false;                          ///< a vector is added to each row
  bool adds = false;                          ///< a matrix like c is added
  std::optional<Activation> activation = {};  ///< applied to the sum; without a parameter
  DType type = DType::f32;                    ///< of a and b: any real type
  DType result = DType::f32;                  ///< of c and the bias: f32, or the type of a and b
  bool tf32 = false;                          ///< CUDA may round a and b of f32 to ten bits after the point
  bool accumulates = false;                   ///< the product alone is added to what c holds

  /// Whether the sum is stored too, because the activation's gradient is computed from it.
  bool keeps_sum() const { return activation && backward_reads_input(*activation); }
};

/// c = activation(op(a) op(b) + bias + added), or c += op(a) op(b), for one fixed set of shapes, planned when
/// constructed: oneDNN on the CPU, cuBLASLt on CUDA. Summed in fp32. The CPU uses one thread, so the bits
/// depend only on the shapes.
class Matmul {
 public:
  Matmul(Exec exec, const MatmulSpec& spec);
  ~Matmul();
  Matmul(Matmul&&) noexcept;

  /// Bytes of scratch memory needed by run(); its contents need not be kept between calls.
  size_t workspace_bytes() const;

  /// a (m, k) or (k, m); b (k, n) or (n, k); bias (n) or empty, as the spec says; c (m, n) is overwritten, or
  /// added to, and aliases nothing; added like c, or empty if the spec adds nothing; sum like c, overwritten
  /// with what the activation is applied to, or empty unless keeps_sum(). Enqueues on the Exec of
  /// construction; does not wait. Throws Error(bug) on a mismatch of shapes or types.
  void run(ConstTensor a, ConstTensor b, ConstTensor bias, Tensor c, Tensor workspace, ConstTensor added = {},
           Tensor sum = {});

 private:
  struct Cpu;
  struct Cuda;
  MatmulSpec spec_;
  std::unique_ptr<Cpu> cpu_;
  std::shared_ptr<Cuda> cuda_;  ///< not shared: a shared_ptr needs no ~Cuda in a CPU-only build
};

}  // namespace lockstep
