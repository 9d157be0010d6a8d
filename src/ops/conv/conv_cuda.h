#pragma once

// The CUDA side of Conv, defined in conv.cu. Mentions no CUDA type, because conv.cpp includes it in every
// build.
#include <memory>

#include "src/ops/conv/conv.h"

namespace lockstep {

struct Conv::Cuda {
  Cuda(Exec exec, const ConvSpec& spec);
  ~Cuda();

  size_t workspace_bytes() const;
  bool adds_to_data() const;
  bool gives_sums() const;
  /// As in Conv::Cpu, but db is empty.
  void convolve(ConstTensor data, ConstTensor w, ConstTensor b, Tensor result, Tensor workspace);
  /// Only if gives_sums().
  void convolve_with_sums(ConstTensor data, ConstTensor w, Tensor result, Tensor sums, Tensor workspace);
  void data_gradient(ConstTensor w, ConstTensor dresult, Tensor ddata, Tensor workspace);
  void filter_gradient(ConstTensor data, ConstTensor dresult, Tensor dw, Tensor db, Tensor workspace);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lockstep
