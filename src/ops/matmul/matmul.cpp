#include "src/ops/matmul/matmul.h"

#include <algorithm>

#include "src/device/buffer.h"
#include "src/device/with_cuda.h"
#include "src/ops/check.h"
#include "src/ops/matmul/matmul_cuda.h"
#include "src/ops/onednn.h"
#include "src/ops/pointwise/bias.h"

namespace lockstep {

struct Matmul::Cpu {
  explicit Cpu(const MatmulSpec& matmul_spec) : spec(matmul_spec) {
    if (spec.m == 0 || spec.n == 0 || spec.k == 0) return;
    using dnnl::memory;
    const auto type = onednn::type_of(spec.type), result = onednn::type_of(spec.result);
    const memory::desc a_desc({spec.m, spec.k}, type,
                              spec.transpose_a ? memory::format_tag::ba : memory::format_tag::ab);
    const memory::desc b_desc({spec.k, spec.n}, type,
                              spec.transpose_b ? memory::format_tag::ba : memory::format_tag::ab);
    const memory::desc c_desc({spec.m, spec.n}, result, memory::format_tag::ab);
    const memory::desc bias_desc({1, spec.n}, result, memory::format_tag::ab);
    dnnl::primitive_attr attributes = onednn::user_scratchpad();
    if (spec.adds) {
      dnnl::post_ops operations;
      operations.append_binary(dnnl::algorithm::binary_add, c_desc);
      attributes.set_post_ops(operations);
    }
    if (spec.accumulates) {
      dnnl::post_ops operations;
      operations.append_sum(1.0f);
      attributes.set_post_ops(operations);
    }
    const auto desc = spec.bias
                          ? onednn::describe_with<dnnl::matmul>(attributes, a_desc, b_desc, bias_desc, c_desc)
                          : onednn::describe_with<dnnl::matmul>(attributes, a_desc, b_desc, c_desc);
    primitive = dnnl::matmul(desc);
    stream = dnnl::stream(onednn::engine());
    a = onednn::unbound(a_desc);
    b = onednn::unbound(b_desc);
    bias = onednn::unbound(bias_desc);
    c = onednn::unbound(c_desc);
    added = onednn::unbound(c_desc);
    scratchpad = onednn::unbound(desc.scratchpad_desc());
    scratchpad_bytes = desc.scratchpad_desc().get_size();
    arguments = {
        {DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, c}, {DNNL_ARG_SCRATCHPAD, scratchpad}};
    if (spec.bias) arguments.emplace(DNNL_ARG_BIAS, bias);
    if (spec.adds) arguments.emplace(DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1, added);
  }

  void run(ConstTensor a_data, ConstTensor b_data, ConstTensor bias_data, Tensor c_data, Tensor workspace,
           ConstTensor added_data, Tensor sum_data) {
    if (spec.m == 0 || spec.n == 0) return;
    const Tensor sum = spec.keeps_sum() ? sum_data : c_data;
    if (spec.k == 0)
      run_empty_sum(bias_data, sum, added_data);
    else
      multiply(a_data, b_data, bias_data, sum, workspace, added_data);
    // Not fused: oneDNN's ReLU turns NaN into zero, which would hide that training has diverged, and its GELU
    // would not keep the sum.
    if (spec.activation) activation_forward({}, *spec.activation, sum, c_data);
  }

  void multiply(ConstTensor a_data, ConstTensor b_data, ConstTensor bias_data, Tensor c_data,
                Tensor workspace, ConstTensor added_data) {
    onednn::bind(a, a_data.raw());
    onednn::bind(b, b_data.raw());
    onednn::bind(bias, bias_data.raw());
    onednn::bind(c, c_data.raw());
    onednn::bind(added, added_data.raw());
    onednn::bind(scratchpad, workspace.raw());
    primitive.execute(stream, arguments);
    stream.wait();
  }

  void run_empty_sum(ConstTensor bias_data, Tensor c_data, ConstTensor added_data) const {
    if (spec.accumulates) return;
    if (spec.adds)
      copy({}, c_data.raw(), added_data.raw(), c_data.bytes());
    else
      fill_zero({}, c_data.raw(), c_data.bytes());
    if (spec.bias) bias_forward({}, c_data, bias_data, c_data);
  }

  MatmulSpec spec;
  dnnl::matmul primitive;
  dnnl::stream stream;
  dnnl::memory a, b, bias, c, added, scratchpad;
  std::unordered_map<int, dnnl::memory> arguments;
  size_t scratchpad_bytes = 0;
};

Matmul::Matmul(Exec exec, const MatmulSpec& spec) : spec_(spec) {
  INVARIANT(!spec.accumulates || !(spec.bias || spec.adds || spec.activation),
            "matmul: an epilogue of a sum of products");
  if constexpr (kCuda) {
    if (exec.on_cuda()) {
      cuda_ = std::make_shared<Cuda>(exec, spec);
      return;
    }
  }
  cpu_ = onednn::guarded("matmul", [&] { return std::make_unique<Cpu>(spec); });
}

Matmul::~Matmul() = default;
Matmul::Matmul(Matmul&&) noexcept = default;

size_t Matmul::workspace_bytes() const {
  if constexpr (kCuda) {
    if (cuda_) return cuda_->workspace_bytes();
  }
  return cpu_->scratchpad_bytes;
}

void Matmul::run(ConstTensor a, ConstTensor b, ConstTensor bias, Tensor c, Tensor workspace,
                 ConstTensor added, Tensor sum) {
  expect(a, spec_.type, spec_.transpose_a ? Shape{spec_.k, spec_.m} : Shape{spec_.m, spec_.k}, "matmul: a");
  expect(b, spec_.type, spec_.transpose_b ? Shape{spec_.n, spec_.k} : Shape{spec_.k, spec_.n}, "matmul: b");
  expect(c, spec_.result, {spec_.m, spec_.n}, "matmul: c");
  if (spec_.bias) expect(bias, spec_.result, {spec_.n}, "matmul: bias");
  if (spec_.adds) expect(added, spec_.result, {spec_.m, spec_.n}, "matmul: added");
  if (spec_.keeps_sum()) expect(sum, spec_.result, {spec_.m, spec_.n}, "matmul: sum");
  expect_workspace(workspace, workspace_bytes(), "matmul");
  if constexpr (kCuda) {
    if (cuda_) return cuda_->run(a, b, bias, c, workspace, added, sum);
  }
  onednn::guarded("matmul", [&] { cpu_->run(a, b, bias, c, workspace, added, sum); });
}

}  // namespace lockstep
