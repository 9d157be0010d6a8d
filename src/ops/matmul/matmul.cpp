#include "src/ops/matmul/matmul.h"

#include <algorithm>

#include "src/device/with_cuda.h"
#include "src/ops/check.h"
#include "src/ops/matmul/matmul_cuda.h"
#include "src/ops/onednn.h"
#include "src/ops/pointwise/activation.h"

namespace lockstep {

struct Matmul::Cpu {
  explicit Cpu(const MatmulSpec& matmul_spec) : spec(matmul_spec) {
    if (spec.m == 0 || spec.n == 0 || spec.k == 0) return;
    using dnnl::memory;
    const auto f32 = memory::data_type::f32;
    const memory::desc a_desc({spec.m, spec.k}, f32,
                              spec.transpose_a ? memory::format_tag::ba : memory::format_tag::ab);
    const memory::desc b_desc({spec.k, spec.n}, f32,
                              spec.transpose_b ? memory::format_tag::ba : memory::format_tag::ab);
    const memory::desc c_desc({spec.m, spec.n}, f32, memory::format_tag::ab);
    const memory::desc bias_desc({1, spec.n}, f32, memory::format_tag::ab);
    const auto desc = spec.epilogue == Epilogue::none
                          ? onednn::describe<dnnl::matmul>(a_desc, b_desc, c_desc)
                          : onednn::describe<dnnl::matmul>(a_desc, b_desc, bias_desc, c_desc);
    primitive = dnnl::matmul(desc);
    stream = dnnl::stream(onednn::engine());
    a = onednn::unbound(a_desc);
    b = onednn::unbound(b_desc);
    bias = onednn::unbound(bias_desc);
    c = onednn::unbound(c_desc);
    scratchpad = onednn::unbound(desc.scratchpad_desc());
    scratchpad_bytes = desc.scratchpad_desc().get_size();
    arguments = {
        {DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, c}, {DNNL_ARG_SCRATCHPAD, scratchpad}};
    if (spec.epilogue != Epilogue::none) arguments.emplace(DNNL_ARG_BIAS, bias);
  }

  void run(ConstTensor a_data, ConstTensor b_data, ConstTensor bias_data, Tensor c_data, Tensor workspace) {
    if (spec.m == 0 || spec.n == 0) return;
    if (spec.k == 0) return run_empty_sum(bias_data, c_data);
    onednn::bind(a, a_data.raw());
    onednn::bind(b, b_data.raw());
    onednn::bind(bias, bias_data.raw());
    onednn::bind(c, c_data.raw());
    onednn::bind(scratchpad, workspace.raw());
    primitive.execute(stream, arguments);
    stream.wait();
    // Not fused: oneDNN's ReLU turns NaN into zero, which would hide that training has diverged.
    if (spec.epilogue == Epilogue::bias_relu) activation_forward({}, Activation::relu, c_data, c_data);
  }

  void run_empty_sum(ConstTensor bias_data, Tensor c_data) const {
    float* out = c_data.data<float>();
    for (int64_t row = 0; row < spec.m; ++row)
      for (int64_t column = 0; column < spec.n; ++column) {
        const float value = spec.epilogue == Epilogue::none ? 0 : bias_data.data<float>()[column];
        out[row * spec.n + column] = spec.epilogue == Epilogue::bias_relu ? (value < 0 ? 0.f : value) : value;
      }
  }

  MatmulSpec spec;
  dnnl::matmul primitive;
  dnnl::stream stream;
  dnnl::memory a, b, bias, c, scratchpad;
  std::unordered_map<int, dnnl::memory> arguments;
  size_t scratchpad_bytes = 0;
};

Matmul::Matmul(Exec exec, const MatmulSpec& spec) : spec_(spec) {
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

void Matmul::run(ConstTensor a, ConstTensor b, ConstTensor bias, Tensor c, Tensor workspace) {
  expect(a, DType::f32, spec_.transpose_a ? Shape{spec_.k, spec_.m} : Shape{spec_.m, spec_.k}, "matmul: a");
  expect(b, DType::f32, spec_.transpose_b ? Shape{spec_.n, spec_.k} : Shape{spec_.k, spec_.n}, "matmul: b");
  expect(c, DType::f32, {spec_.m, spec_.n}, "matmul: c");
  if (spec_.epilogue != Epilogue::none) expect(bias, DType::f32, {spec_.n}, "matmul: bias");
  expect_workspace(workspace, workspace_bytes(), "matmul");
  if constexpr (kCuda) {
    if (cuda_) return cuda_->run(a, b, bias, c, workspace);
  }
  onednn::guarded("matmul", [&] { cpu_->run(a, b, bias, c, workspace); });
}

}  // namespace lockstep
