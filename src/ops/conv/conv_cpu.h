#pragma once

#include <optional>
#include <unordered_map>

#include "src/ops/conv/conv.h"
#include "src/ops/conv/unfolded_gradient_cpu.h"
#include "src/ops/onednn.h"

namespace lockstep {

/// The CPU side of Conv: oneDNN's convolutions along two or three axes, with the weights in the format that
/// oneDNN prefers; for the gradient of many filters at few positions, a product of matrices.
struct Conv::Cpu {
  explicit Cpu(const ConvSpec& spec);

  size_t workspace_bytes() const { return workspace_bytes_; }
  /// Whether it adds the gradient of the data to what is there.
  static constexpr bool adds_to_data() { return false; }
  /// data to result, with the spec's bias and ReLU. Callers have checked the arguments of all three.
  void convolve(ConstTensor data, ConstTensor w, ConstTensor b, Tensor result, Tensor workspace);
  void data_gradient(ConstTensor w, ConstTensor dresult, Tensor ddata, Tensor workspace);
  void filter_gradient(ConstTensor data, ConstTensor dresult, Tensor dw, Tensor db, Tensor workspace);

 private:
  /// One primitive and its arguments. If it needs the weights in another format than ours, they are reordered
  /// through the workspace, behind the primitive's own scratch memory, before (convolution, gradient of the
  /// data) or after (gradient of the weights) it runs.
  struct Pass {
    dnnl::primitive primitive;
    std::unordered_map<int, dnnl::memory> arguments;
    int weights = DNNL_ARG_WEIGHTS;  ///< or DNNL_ARG_DIFF_WEIGHTS
    dnnl::memory plain_weights;
    std::optional<dnnl::reorder> reorder;
    size_t reordered_offset = 0;
  };

  /// `plain` is our format of the weights, `format` the primitive's.
  template <typename Primitive, typename Desc>
  Pass make_pass(const Desc& desc, int weights, const dnnl::memory::desc& plain,
                 const dnnl::memory::desc& format,
                 std::initializer_list<std::pair<int, dnnl::memory::desc>> arguments);
  using Binding = std::pair<int, const void*>;
  void run(Pass& pass, const void* weights, std::initializer_list<Binding> bindings, Tensor workspace);

  ConvSpec spec_;
  dnnl::stream stream_;
  std::optional<Pass> convolve_, data_gradient_, filter_gradient_;
  std::optional<UnfoldedGradient> unfolded_gradient_;  ///< in place of filter_gradient_
  size_t workspace_bytes_ = 0;
};

}  // namespace lockstep
