#pragma once

// The CUDA side of Conv2d, defined in conv2d.cu. Mentions no CUDA type, because conv2d.cpp includes it in
// every build.
#include <memory>

#include "src/ops/conv/conv2d.h"

namespace lockstep {

struct Conv2d::Cuda {
  Cuda(Exec exec, const Conv2dSpec& spec);
  ~Cuda();

  size_t workspace_bytes() const;
  /// Callers have checked the arguments of both.
  void forward(ConstTensor x, ConstTensor w, ConstTensor b, Tensor y, Tensor workspace);
  void backward(ConstTensor x, ConstTensor w, ConstTensor dy, Tensor dx, Tensor dw, Tensor db,
                Tensor workspace);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lockstep
