#pragma once

// Attention through cuDNN's backend API. Included only where cuDNN may be used.
#include <cudnn.h>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "src/device/libraries/cudnn_graph.h"

namespace lockstep {

/// One direction of attention as src/ops/attention defines it, without dropout and without a mask.
struct CudnnAttention {
  enum class Direction { forward, backward };

  Direction direction = Direction::forward;
  cudnnDataType_t type = CUDNN_DATA_BFLOAT16;  ///< of all tensors but log_sums
  int64_t samples = 1, positions = 1, heads = 1, width = 1;
  bool causal = false;

  auto operator<=>(const CudnnAttention&) const = default;
};

/// A plan of one direction. Its results have the same bits each time. All tensors are on the device, without
/// gaps, and start at multiples of 16 bytes; runs are enqueued on the handle's stream.
class CudnnAttentionPlan {
 public:
  CudnnAttentionPlan(const CudnnAttention& attention, CudnnPlan plan);

  const CudnnAttention& attention() const { return attention_; }
  size_t workspace_bytes() const;

  /// qkv (samples, positions, 3, heads, width) in; y (samples, positions, heads, width) and log_sums
  /// (samples, heads, positions) of float out. Only a plan of this direction.
  void forward(cudnnHandle_t handle, const void* qkv, void* y, void* log_sums, void* workspace) const;
  /// dqkv, like qkv, out; dy like y, and the others as forward() left them, in. Only a plan of this
  /// direction.
  void backward(cudnnHandle_t handle, const void* qkv, const void* y, const void* log_sums, const void* dy,
                void* dqkv, void* workspace) const;

 private:
  /// The numbers that both graphs read.
  std::vector<CudnnArgument> numbers() const;

  CudnnAttention attention_;
  float scale_;
  CudnnPlan plan_;
};

/// "attention forward in bf16 of 8 samples, ...": all that distinguishes it from others.
std::string in_words(const CudnnAttention& attention);

/// The operations. Those of backward store the gradients of the scores, two bytes for each pair of positions,
/// so that none of its sums depends on the order in which blocks arrive.
CudnnGraph graph_of(cudnnHandle_t handle, const CudnnAttention& attention);

/// Whether engines of cuDNN may compute it on a GPU of this compute capability, as far as that is known
/// beforehand: heads are at most 128 wide, in vectors of 16 bytes. Backward is left to GPUs on which it is
/// known to give the same bits each time, which the notes of engines do not say: NVIDIA's Transformer Engine
/// relies on this graph on 9.0 (its pull request 992); and a number of positions that is no multiple of 128
/// needs cuDNN 9.16, because cudnn-frontend works around older versions.
bool may_be_planned(const CudnnAttention& attention, int major, int minor);

/// Plans for the GPU that is selected, of at most kMaxAttentionPlans engines. All of them are compiled at run
/// time. None where cuDNN has none, or not may_be_planned().
std::vector<CudnnAttentionPlan> make_plans(cudnnHandle_t handle, const CudnnAttention& attention);
inline constexpr size_t kMaxAttentionPlans = 2;

}  // namespace lockstep
