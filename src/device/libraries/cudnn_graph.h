#pragma once

// Operations that cuDNN computes together, through its backend API: a graph describes them, and a plan is one
// of the engines that cuDNN offers for the graph. Included only where cuDNN may be used.
#include <cudnn.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "src/device/libraries/cudnn_descriptor.h"

namespace lockstep {

/// Engines and algorithms that need more scratch memory than this are skipped.
inline constexpr size_t kCudnnWorkspaceLimit = size_t{512} << 20;

/// What a plan reads or writes under an id of the graph.
struct CudnnArgument {
  int64_t id;
  const void* memory;  ///< of a tensor, at a multiple of 16 bytes on the GPU; of a number(), on the host
};

/// An engine that is ready to run. Used only with the handle that it was planned for.
class CudnnPlan {
 public:
  CudnnPlan(CudnnDescriptor config, CudnnDescriptor plan, size_t workspace_bytes);

  size_t workspace_bytes() const { return workspace_bytes_; }

  /// Enqueues on the handle's stream; does not wait. The graph says which tensors are overwritten, or added
  /// to; the others are read. No memory overlaps other memory that is written. `workspace` starts at a
  /// multiple of 16 bytes and may be null if it needs no bytes. Numbers are read before it returns.
  void run(cudnnHandle_t handle, const std::vector<CudnnArgument>& arguments, void* workspace) const;

 private:
  CudnnDescriptor config_, plan_;
  size_t workspace_bytes_;
};

/// Operations and the tensors between them, described one after the other: those that an operation reads must
/// be described before. Throws Error(bug) with cuDNN's message if cuDNN refuses a description.
class CudnnGraph {
 public:
  explicit CudnnGraph(cudnnHandle_t handle) : handle_(handle) {}

  /// Valid as long as the graph.
  using Tensor = cudnnBackendDescriptor_t;
  using Extents = std::vector<int64_t>;

  /// In memory that CudnnPlan::run() is given under `id`. Strides are in elements.
  Tensor tensor(int64_t id, cudnnDataType_t type, const Extents& extents, const Extents& strides);
  /// A float that CudnnPlan::run() is given under `id`, for tensors of so many axes.
  Tensor number(int64_t id, size_t axes);
  /// What only operations of this graph read: cuDNN keeps it where it wants, rounded to `type`. Without
  /// strides, its last axis is that of stride 1, without gaps.
  Tensor between(cudnnDataType_t type, const Extents& extents, const Extents& strides);
  Tensor between(cudnnDataType_t type, const Extents& extents);

  // Operations. They compute in float, write the last tensor and return it. The extents of an operand are
  // those of the result, or 1, where its values are repeated.
  /// c = a b, for the matrices in the last two axes.
  Tensor multiply(Tensor a, Tensor b, Tensor c);
  /// y = mode(x).
  Tensor map(cudnnPointwiseMode_t mode, Tensor x, Tensor y);
  /// y = mode(x, b).
  Tensor combine(cudnnPointwiseMode_t mode, Tensor x, Tensor b, Tensor y);
  /// y = condition ? x : otherwise.
  Tensor select(Tensor condition, Tensor x, Tensor otherwise, Tensor y);
  /// y = the coordinate on this axis of each element of x.
  Tensor index(Tensor x, int64_t axis, Tensor y);
  /// y = x, combined along the axes on which y has an extent of 1; where can_fix_order(), on request in the
  /// same order each time.
  Tensor reduce(cudnnReduceTensorOp_t how, Tensor x, Tensor y, bool in_fixed_order = false);
  /// Since cuDNN 9.11. Other reductions over blocks may add in the order in which blocks arrive, and the
  /// notes of engines do not say it.
  static bool can_fix_order();
  /// y = x, with the extents and strides of y; in its type.
  Tensor reshape(Tensor x, Tensor y);

  /// Any other operation, of which all attributes are set.
  void add(CudnnDescriptor operation);
  /// Finalizes what operations refer to, and keeps it as long as the graph.
  cudnnBackendDescriptor_t keep(CudnnDescriptor description);

  cudnnHandle_t handle() const { return handle_; }
  /// In the order in which they were added.
  const std::vector<cudnnBackendDescriptor_t>& operations() const { return operations_; }

 private:
  enum class Kind { memory, number, between };
  Tensor describe_tensor(Kind kind, int64_t id, cudnnDataType_t type, const Extents& extents,
                         const Extents& strides);
  Tensor pointwise(cudnnPointwiseMode_t mode, int64_t axis, Tensor x, Tensor b, Tensor condition, Tensor y);

  cudnnHandle_t handle_;
  std::vector<CudnnDescriptor> kept_;
  std::vector<cudnnBackendDescriptor_t> operations_;
  int64_t next_id_ = int64_t{1} << 32;  ///< of tensors between operations; far from the ids of callers
};

/// Which engines may be chosen, besides that they give the same bits each time and fit kCudnnWorkspaceLimit.
struct CudnnEngineRules {
  bool tensor_cores = true;           ///< which multiply floats as TF32
  bool compiled_at_run_time = false;  ///< takes a second or two for each
};

/// The plans of the first `max_count` engines that may be chosen, in the order of cuDNN's heuristics, which
/// estimate the fastest. None if cuDNN does not support the graph. Leaves out, with a warning, engines that
/// cannot be compiled. Throws Error(bug) with cuDNN's message if a call fails for another reason.
std::vector<CudnnPlan> make_plans(const CudnnGraph& graph, const CudnnEngineRules& rules, size_t max_count);

}  // namespace lockstep
