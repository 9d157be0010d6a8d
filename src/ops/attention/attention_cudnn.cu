#include "src/ops/attention/attention_cudnn.h"

#include <algorithm>

#include "src/device/cuda_context.h"
#include "src/ops/cuda_ops.h"

namespace lockstep::cuda {

namespace {

using Direction = CudnnAttention::Direction;

CudnnAttention as_cudnn_attention(const AttentionSpec& spec, Direction direction, const Shape& qkv,
                                  DType type) {
  return {.direction = direction,
          .type = type == DType::bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_HALF,
          .samples = qkv[0],
          .positions = qkv[1],
          .heads = spec.heads,
          .width = qkv[2] / (3 * spec.heads),
          .causal = spec.causal};
}

void check(const CudnnAttentionPlan& plan, const AttentionSpec& spec, ConstTensor qkv) {
  const CudnnAttention& planned = plan.attention();
  INVARIANT(planned == as_cudnn_attention(spec, planned.direction, qkv.shape(), qkv.dtype()),
            "attention: {} heads of {} are not {}, for which an engine of cuDNN was chosen", spec.heads,
            to_string(qkv.shape()), in_words(planned));
}

}  // namespace

AttentionEngines choose_attention_engines(Exec exec, const AttentionSpec& spec, const Shape& qkv,
                                          DType type) {
  AttentionSpec plain = spec;
  plain.engines = {};
  const size_t bytes = attention_workspace_bytes(exec, plain, qkv, type);
  const auto find = [&](Direction direction) {
    const auto ours = [&](const CudnnPlans::AttentionKernels::Memory& memory) {
      const AttentionInputs inputs{.qkv = {memory.qkv, type, qkv}, .mask = {}};
      const Tensor y(memory.y, type, {qkv[0], qkv[1], qkv[2] / 3});
      const Tensor log_sums(memory.log_sums, DType::f32, {qkv[0], spec.heads, qkv[1]});
      const Tensor workspace(memory.workspace, DType::u8, {static_cast<int64_t>(bytes)});
      if (direction == Direction::forward)
        cuda::attention_forward(exec, plain, inputs, y, log_sums, workspace);
      else
        cuda::attention_backward(exec, plain, inputs, y, log_sums, Tensor(memory.dy, type, y.shape()),
                                 Tensor(memory.dqkv, type, qkv), workspace);
    };
    return exec.cuda->plans().find(exec.cuda->cudnn(), as_cudnn_attention(spec, direction, qkv, type),
                                   {bytes, ours});
  };
  return {find(Direction::forward), find(Direction::backward)};
}

size_t workspace_bytes(const AttentionEngines& engines) {
  size_t bytes = 0;
  for (const CudnnAttentionPlan* const plan : {engines.forward, engines.backward})
    if (plan != nullptr) bytes = std::max(bytes, plan->workspace_bytes());
  return bytes;
}

void engine_forward(Exec exec, const AttentionSpec& spec, const AttentionInputs& inputs, Tensor y,
                    Tensor log_sums, Tensor workspace) {
  check(*spec.engines.forward, spec, inputs.qkv);
  spec.engines.forward->forward(exec.cuda->cudnn(), inputs.qkv.raw(), y.raw(), log_sums.raw(),
                                workspace.raw());
}

void engine_backward(Exec exec, const AttentionSpec& spec, const AttentionInputs& inputs, ConstTensor y,
                     ConstTensor log_sums, ConstTensor dy, Tensor dqkv, Tensor workspace) {
  check(*spec.engines.backward, spec, inputs.qkv);
  spec.engines.backward->backward(exec.cuda->cudnn(), inputs.qkv.raw(), y.raw(), log_sums.raw(), dy.raw(),
                                  dqkv.raw(), workspace.raw());
}

}  // namespace lockstep::cuda
