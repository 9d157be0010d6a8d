#pragma once

#include <memory>

#include "src/device/exec.h"
#include "src/tensor/tensor.h"

namespace lockstep {

/// The operation applied to a product, and what is added to it, before it is stored.
enum class Epilogue { none, bias, bias_relu };

struct MatmulSpec {
  int64_t m = 0, n = 0, k = 0;
  bool transpose_a = false;  ///< a is stored (k, m) instead of (m, k)
  bool transpose_b = false;  ///< b is stored (n, k) instead of (k, n)
  bool adds = false;         ///< a matrix like c is added before a ReLU
  Epilogue epilogue = Epilogue::none;
  DType type = DType::f32;    ///< of a and b: any real type
  DType result = DType::f32;  ///< of c and the bias: f32, or the type of a and b
  bool tf32 = false;          ///< CUDA may round a and b of f32 to ten bits after the point
  bool accumulates = false;   ///< the product is added to what c holds; only without an epilogue and `adds`
};

/// c = epilogue(op(a) op(b) + added), or c += op(a) op(b), for one fixed set of shapes, planned when
/// constructed: oneDNN on the CPU, cuBLASLt on CUDA. Summed in fp32. The CPU uses one thread, so the bits
/// depend only on the shapes.
class Matmul {
 public:
  Matmul(Exec exec, const MatmulSpec& spec);
  ~Matmul();
  Matmul(Matmul&&) noexcept;

  /// Bytes of scratch memory needed by run(); its contents need not be kept between calls.
  size_t workspace_bytes() const;

  /// a (m, k) or (k, m); b (k, n) or (n, k); bias (n) for the bias epilogues, else empty; c (m, n) is
  /// overwritten, or added to, and aliases nothing; added like c, or empty if the spec adds nothing. Enqueues
  /// on the Exec of construction; does not wait. Throws Error(bug) on a mismatch of shapes or types.
  void run(ConstTensor a, ConstTensor b, ConstTensor bias, Tensor c, Tensor workspace,
           ConstTensor added = {});

 private:
  struct Cpu;
  struct Cuda;
  MatmulSpec spec_;
  std::unique_ptr<Cpu> cpu_;
  std::shared_ptr<Cuda> cuda_;  ///< not shared: a shared_ptr needs no ~Cuda in a CPU-only build
};

}  // namespace lockstep
