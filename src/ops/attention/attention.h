#pragma once

#include <cstddef>
#include <cstdint>

#include "src/device/exec.h"
#include "src/ops/micro_batch.h"
#include "src/ops/pointwise/dropout.h"
#include "src/tensor/tensor.h"

namespace lockstep {

/// A plan of cuDNN (src/device/libraries/cudnn_attention.h; incomplete in a CPU-only build).
class CudnnAttentionPlan;

/// What computes attention on a GPU in place of our kernels; null: our kernels. Valid as long as the
/// CudaContext. Only for the shape and type for which it was chosen, without dropout and mask.
struct AttentionEngines {
  const CudnnAttentionPlan* forward = nullptr;
  const CudnnAttentionPlan* backward = nullptr;
};

struct AttentionSpec {
  int64_t heads = 1;
  bool causal = false;                ///< whether a position reads only itself and earlier ones
  DropoutSpec dropout = {.rate = 0};  ///< of the probabilities
  AttentionEngines engines = {};
  static constexpr int64_t kMaxWidth = 256;  ///< of a head
};

/// What attention reads. T positions, C = heads * width. qkv and the mask are of one real type, which is also
/// that of the output and of the gradients.
struct AttentionInputs {
  ConstTensor qkv;   ///< (N, T, 3 C): queries, keys and values, each with its heads one after the other
  ConstTensor mask;  ///< (N, T); a position where it is 0 is read by nobody. Empty: all are read
  /// Of the dropout, where its rate is not 0: (N) int64, and the step.
  ConstTensor sample_index = {};
  const MicroBatchInfo* info = nullptr;
};

/// Multi-head scaled dot-product attention (Vaswani et al. 2017, section 3.2): for each sample and head,
///   y_i = sum_j p_ij v_j,  p_i = softmax_j(q_i . k_j / sqrt(width))
/// over the positions j that i reads; zero if there are none. The maximum of a row is subtracted before exp.
/// With dropout, p_ij is set to zero at random and the others are divided by 1 - rate: as in dropout(), with
/// the counter (i, (step << 32) + (head T + i) ceil(T / 4) + j / 4) and the word j % 4.
///   y         (N, T, C), out; aliases nothing
///   log_sums  (N, heads, T) float, out, for backward: log sum_j exp(q_i . k_j / sqrt(width)); infinite if i
///   reads
///             nothing
/// The probabilities are computed in blocks and not stored (Dao et al. 2022, algorithm 1): memory grows with
/// T, not with its square. Two-byte types are multiplied as such on a CPU and, with heads of up to 128
/// numbers, by the tensor cores of a GPU: the probabilities are rounded to that type before they weigh
/// values, and so are the gradients of the scores. All sums have an order that depends only on the shapes.
/// Enqueues; does not wait.
void attention_forward(Exec exec, const AttentionSpec& spec, const AttentionInputs& inputs, Tensor y,
                       Tensor log_sums, Tensor workspace);

/// The gradient dqkv of qkv, from that of y; the probabilities are computed again (algorithm 4). dqkv aliases
/// nothing.
void attention_backward(Exec exec, const AttentionSpec& spec, const AttentionInputs& inputs, ConstTensor y,
                        ConstTensor log_sums, ConstTensor dy, Tensor dqkv, Tensor workspace);

/// The engines for qkv of this shape and type that run.autotune finds to be faster than our kernels
/// (EngineTuner); none without it, and none with dropout or a mask. An engine's results have the same bits
/// each time, but not those of our kernels; it rounds where they do.
AttentionEngines choose_attention_engines(Exec exec, const AttentionSpec& spec, const Shape& qkv, DType type,
                                          bool masked);

/// Of both functions, for qkv of this shape and type.
size_t attention_workspace_bytes(Exec exec, const AttentionSpec& spec, const Shape& qkv, DType type);

}  // namespace lockstep
