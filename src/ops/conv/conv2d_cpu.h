#pragma once

#include <optional>
#include <unordered_map>

#include "src/ops/conv/conv2d.h"
#include "src/ops/onednn.h"

namespace lockstep {

/// The CPU side of Conv2d: oneDNN's convolutions, with the weights in the format that oneDNN prefers.
struct Conv2d::Cpu {
  explicit Cpu(const Conv2dSpec& spec);

  size_t workspace_bytes() const { return workspace_bytes_; }
  void forward(ConstTensor x, ConstTensor w, ConstTensor b, Tensor y, Tensor workspace);
  void backward(ConstTensor x, ConstTensor w, ConstTensor dy, Tensor dx, Tensor dw, Tensor db,
                Tensor workspace);

 private:
  /// One primitive and its arguments. If it needs the weights in another format than ours, they are reordered
  /// through the workspace, behind the primitive's own scratch memory, before (forward, gradient of the data)
  /// or after (gradient of the weights) it runs.
  struct Pass {
    dnnl::primitive primitive;
    std::unordered_map<int, dnnl::memory> arguments;
    int weights = DNNL_ARG_WEIGHTS;  ///< or DNNL_ARG_DIFF_WEIGHTS
    dnnl::memory plain_weights;
    std::optional<dnnl::reorder> reorder;
    size_t reordered_offset = 0;
  };

  /// `format` is the primitive's format of the weights.
  template <typename Primitive, typename Desc>
  Pass make_pass(const Desc& desc, int weights, const dnnl::memory::desc& format,
                 std::initializer_list<std::pair<int, dnnl::memory::desc>> arguments);
  using Binding = std::pair<int, const void*>;
  void run(Pass& pass, const void* weights, std::initializer_list<Binding> bindings, Tensor workspace);

  Conv2dSpec spec_;
  dnnl::stream stream_;
  dnnl::memory::desc plain_weights_;
  std::optional<Pass> forward_, backward_data_, backward_weights_;
  size_t workspace_bytes_ = 0;
};

}  // namespace lockstep
