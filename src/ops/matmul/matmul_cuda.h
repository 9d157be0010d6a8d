#pragma once

// The CUDA side of Matmul, defined in matmul.cu. Mentions no CUDA type, because matmul.cpp includes it in
// every build.
#include <memory>

#include "src/ops/matmul/matmul.h"

namespace lockstep {

struct Matmul::Cuda {
  Cuda(Exec exec, const MatmulSpec& spec);
  ~Cuda();

  size_t workspace_bytes() const;
  /// Callers have checked the arguments.
  void run(ConstTensor a, ConstTensor b, ConstTensor bias, Tensor c, Tensor workspace, ConstTensor added,
           Tensor sum);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lockstep
