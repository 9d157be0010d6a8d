#include "src/ops/attention/attention.h"

#include <algorithm>

#include "src/device/with_cuda.h"
#include "src/ops/attention/attention_cpu.h"
#include "src/ops/attention/attention_cudnn.h"
#include "src/ops/check.h"
#include "src/ops/cuda_ops.h"

namespace lockstep {

namespace {

/// Checks what both functions read.
void check(Exec exec, const AttentionSpec& spec, const AttentionInputs& inputs, ConstTensor y,
           ConstTensor log_sums, Tensor workspace) {
  const Shape& shape = inputs.qkv.shape();
  INVARIANT(shape.rank() == 3 && spec.heads > 0 && shape[2] % (3 * spec.heads) == 0 &&
                shape[2] <= 3 * spec.heads * AttentionSpec::kMaxWidth,
            "attention: {} heads of {}", spec.heads, to_string(shape));
  const int64_t samples = shape[0], positions = shape[1];
  expect_real(inputs.qkv, shape, "attention: qkv");
  const DType type = inputs.qkv.dtype();
  if (inputs.mask) expect(inputs.mask, type, {samples, positions}, "attention: mask");
  const float rate = spec.dropout.rate;
  INVARIANT(rate >= 0 && rate < 1, "attention: dropout rate {} is not in [0, 1)", rate);
  if (rate > 0) expect(inputs.sample_index, DType::i64, {samples}, "attention: sample_index");
  const bool has_engine = spec.engines.forward != nullptr || spec.engines.backward != nullptr;
  INVARIANT(!has_engine || (rate == 0 && !inputs.mask),
            "attention: an engine of cuDNN was chosen, which knows neither dropout nor a mask");
  expect(y, type, {samples, positions, shape[2] / 3}, "attention: y");
  expect(log_sums, DType::f32, {samples, spec.heads, positions}, "attention: log_sums");
  expect_workspace(workspace, attention_workspace_bytes(exec, spec, shape, type), "attention");
}

}  // namespace

size_t attention_workspace_bytes(Exec exec, const AttentionSpec& spec, const Shape& qkv, DType type) {
  if (!exec.on_cuda()) return cpu::attention_workspace(spec, qkv, type);
  // A number for each row of the scores, in backward.
  const size_t bytes = static_cast<size_t>(qkv[0] * spec.heads * qkv[1]) * sizeof(float);
  if constexpr (kCuda) return std::max(bytes, cuda::workspace_bytes(spec.engines));
  return bytes;
}

AttentionEngines choose_attention_engines(Exec exec, const AttentionSpec& spec, const Shape& qkv, DType type,
                                          bool masked) {
  if constexpr (kCuda) {
    if (exec.on_cuda() && spec.dropout.rate == 0 && !masked && size_of(type) == 2 && qkv.elements() > 0)
      return cuda::choose_attention_engines(exec, spec, qkv, type);
  }
  return {};
}

void attention_forward(Exec exec, const AttentionSpec& spec, const AttentionInputs& inputs, Tensor y,
                       Tensor log_sums, Tensor workspace) {
  check(exec, spec, inputs, y, log_sums, workspace);
  if (is_empty(y)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::attention_forward(exec, spec, inputs, y, log_sums, workspace);
  }
  cpu::attention_forward(spec, inputs, y, log_sums, workspace.raw());
}

void attention_backward(Exec exec, const AttentionSpec& spec, const AttentionInputs& inputs, ConstTensor y,
                        ConstTensor log_sums, ConstTensor dy, Tensor dqkv, Tensor workspace) {
  check(exec, spec, inputs, y, log_sums, workspace);
  expect(dy, y.dtype(), y.shape(), "attention: dy");
  expect(dqkv, y.dtype(), inputs.qkv.shape(), "attention: dqkv");
  if (is_empty(y)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::attention_backward(exec, spec, inputs, y, log_sums, dy, dqkv, workspace);
  }
  cpu::attention_backward(spec, inputs, y, log_sums, dy, dqkv, workspace.raw());
}

}  // namespace lockstep
