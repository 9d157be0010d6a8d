#include <array>

#include "src/device/buffer.h"
#include "src/device/compatibility.h"
#include "src/device/cuda_context.h"
#include "src/ops/cuda_ops.h"
#include "src/ops/matmul/matmul_cuda.h"

namespace lockstep {

namespace {

using Operation = Handle<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Layout = Handle<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Preference = Handle<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

/// The size recommended by cuBLAS for Hopper, and more than enough for older chips.
constexpr size_t kWorkspaceLimit = size_t{32} << 20;
/// The alignment that the chosen algorithm may rely on.
constexpr uint32_t kAlignment = 16;
/// The alignment that cublasLtMatmul() requires of its workspace for every algorithm.
constexpr uint32_t kWorkspaceAlignment = 256;

template <typename T>
void set(const Operation& operation, cublasLtMatmulDescAttributes_t attribute, const T& value) {
  CHECK(cublasLtMatmulDescSetAttribute(operation.get(), attribute, &value, sizeof value));
}

template <typename T>
void set(const Preference& preference, cublasLtMatmulPreferenceAttributes_t attribute, const T& value) {
  CHECK(cublasLtMatmulPreferenceSetAttribute(preference.get(), attribute, &value, sizeof value));
}

cudaDataType_t cuda_type(DType type) {
  return type == DType::bf16 ? CUDA_R_16BF : type == DType::f16 ? CUDA_R_16F : CUDA_R_32F;
}

/// To cuBLASLt, a row-major matrix (rows, columns) is a column-major one (columns, rows).
void create_layout(Layout& layout, DType type, int64_t rows, int64_t columns) {
  CHECK(cublasLtMatrixLayoutCreate(layout.out(), cuda_type(type), static_cast<uint64_t>(columns),
                                   static_cast<uint64_t>(rows), columns));
}

bool aligned(const void* pointer, uint32_t alignment = kAlignment) {
  return reinterpret_cast<uintptr_t>(pointer) % alignment == 0;
}

}  // namespace

/// cuBLASLt is column-major, so it computes the transpose, c^T = op(b)^T op(a)^T, whose row i is column i of
/// c: its bias, one value per row, is ours along n.
struct Matmul::Cuda::Impl {
  Impl(Exec on, const MatmulSpec& shape);
  bool could_apply_gelu() const;
  void set_epilogue();
  bool choose_algorithm();
  void run(ConstTensor a, ConstTensor b, ConstTensor bias, Tensor c, Tensor workspace, ConstTensor added,
           Tensor sum);
  void multiply(ConstTensor a, ConstTensor b, ConstTensor bias, Tensor c, Tensor workspace, ConstTensor added,
                Tensor sum);

  Exec exec;
  MatmulSpec spec;
  bool applies_gelu = false;  ///< cuBLASLt applies the activation and stores what it is applied to
  Operation operation;
  Layout a, b, c;
  cublasLtMatmulAlgo_t algorithm{};
  size_t workspace_bytes = 0;

  bool empty() const { return spec.m == 0 || spec.n == 0 || spec.k == 0; }
};

Matmul::Cuda::Impl::Impl(Exec on, const MatmulSpec& shape) : exec(on), spec(shape) {
  if (empty()) return;
  const bool rounds = spec.tf32 && spec.type == DType::f32;
  CHECK(cublasLtMatmulDescCreate(operation.out(), rounds ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F,
                                 CUDA_R_32F));
  set(operation, CUBLASLT_MATMUL_DESC_TRANSA, spec.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(operation, CUBLASLT_MATMUL_DESC_TRANSB, spec.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
  create_layout(a, spec.type, spec.transpose_a ? spec.k : spec.m, spec.transpose_a ? spec.m : spec.k);
  create_layout(b, spec.type, spec.transpose_b ? spec.n : spec.k, spec.transpose_b ? spec.k : spec.n);
  create_layout(c, spec.result, spec.m, spec.n);
  applies_gelu = could_apply_gelu();
  set_epilogue();
  if (choose_algorithm()) return;
  if (applies_gelu) {
    applies_gelu = false;
    set_epilogue();
    if (choose_algorithm()) return;
  }
  fail(ExitCode::bug, "cuBLASLt {} offers no deterministic algorithm for a product of ({}, {}) and ({}, {})",
       dotted_version(static_cast<int64_t>(cublasLtGetVersion())), spec.m, spec.k, spec.k, spec.n);
}

/// cuBLASLt's GELU is the form with a tanh, of undocumented accuracy, so that f32 does without. Its second
/// result has a leading dimension that 8 divides.
bool Matmul::Cuda::Impl::could_apply_gelu() const {
  return spec.activation == Activation::gelu_tanh && spec.result != DType::f32 && spec.n % 8 == 0;
}

/// Not CUBLASLT_EPILOGUE_RELU_BIAS: its maximum turns NaN into zero, which would hide that training has
/// diverged. The heuristic derives the alignment of vectors and matrices here from their addresses, and takes
/// null as fully aligned.
void Matmul::Cuda::Impl::set_epilogue() {
  const uint32_t bias = spec.bias ? CUBLASLT_EPILOGUE_BIAS : 0;
  const uint32_t gelu = applies_gelu ? CUBLASLT_EPILOGUE_GELU_AUX : 0;
  set(operation, CUBLASLT_MATMUL_DESC_EPILOGUE,
      bias + gelu == 0 ? uint32_t{CUBLASLT_EPILOGUE_DEFAULT} : bias | gelu);
  if (spec.bias) {
    set(operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, uintptr_t{kAlignment});
    set(operation, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, cuda_type(spec.result));
  }
  if (applies_gelu) {
    set(operation, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, uintptr_t{kAlignment});
    set(operation, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, spec.n);
  }
}

/// False if there is no deterministic one.
bool Matmul::Cuda::Impl::choose_algorithm() {
  Preference preference;
  CHECK(cublasLtMatmulPreferenceCreate(preference.out()));
  set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kWorkspaceLimit);
  // Split-K is deterministic if partial products are added in a separate step. INPLACE adds them one after
  // another, but in an undocumented order.
  const uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE | CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE;
  set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, reductions);
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, kAlignment);
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, kAlignment);
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, kAlignment);
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, kAlignment);

  std::array<cublasLtMatmulHeuristicResult_t, 16> candidates{};
  int found = 0;
  const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
      exec.cuda->cublas(), operation.get(), b.get(), a.get(), c.get(), c.get(), preference.get(),
      static_cast<int>(candidates.size()), candidates.data(), &found);
  if (status == CUBLAS_STATUS_NOT_SUPPORTED) return false;
  CHECK(status);
  for (int i = 0; i < found; ++i) {
    const cublasLtMatmulHeuristicResult_t& candidate = candidates[static_cast<size_t>(i)];
    uint32_t reduction = CUBLASLT_REDUCTION_SCHEME_NONE;
    size_t written = 0;
    if (candidate.state == CUBLAS_STATUS_NOT_SUPPORTED) continue;
    CHECK(candidate.state);
    CHECK(cublasLtMatmulAlgoConfigGetAttribute(&candidate.algo, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME,
                                               &reduction, sizeof reduction, &written));
    if ((reduction & CUBLASLT_REDUCTION_SCHEME_INPLACE) != 0) continue;
    algorithm = candidate.algo;
    workspace_bytes = candidate.workspaceSize;
    return true;
  }
  return false;
}

void Matmul::Cuda::Impl::run(ConstTensor x, ConstTensor w, ConstTensor bias, Tensor y, Tensor workspace,
                             ConstTensor added, Tensor sum) {
  if (spec.m == 0 || spec.n == 0) return;
  if (applies_gelu) return multiply(x, w, bias, y, workspace, added, sum);
  const Tensor z = spec.keeps_sum() ? sum : y;
  if (spec.k == 0) {
    if (spec.accumulates) return;
    if (spec.adds)
      copy(exec, z.raw(), added.raw(), z.bytes());
    else
      fill_zero(exec, z.raw(), z.bytes());
    if (spec.bias) cuda::bias_forward(exec, z, bias, z);
  } else {
    multiply(x, w, bias, z, workspace, added, {});
  }
  if (spec.activation) cuda::activation_forward(exec, *spec.activation, z, y);
}

void Matmul::Cuda::Impl::multiply(ConstTensor x, ConstTensor w, ConstTensor bias, Tensor y, Tensor workspace,
                                  ConstTensor added, Tensor sum) {
  for (const ConstTensor& matrix : {x, w, bias, ConstTensor(y), added, ConstTensor(sum)})
    INVARIANT(aligned(matrix.raw()), "a matrix at an address that {} does not divide", kAlignment);
  INVARIANT(workspace_bytes == 0 || aligned(workspace.raw(), kWorkspaceAlignment),
            "a workspace at an address that {} does not divide", kWorkspaceAlignment);
  if (spec.bias) set(operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias.raw());
  if (applies_gelu) set(operation, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, sum.raw());
  const float one = 1.0f, beta = spec.adds || spec.accumulates ? 1.0f : 0.0f;
  CHECK(cublasLtMatmul(exec.cuda->cublas(), operation.get(), &one, w.raw(), b.get(), x.raw(), a.get(), &beta,
                       spec.adds ? added.raw() : y.raw(), c.get(), y.raw(), c.get(), &algorithm,
                       workspace.raw(), workspace_bytes, exec.cuda->compute_stream()));
}

Matmul::Cuda::Cuda(Exec exec, const MatmulSpec& spec) : impl_(std::make_unique<Impl>(exec, spec)) {}

Matmul::Cuda::~Cuda() = default;

size_t Matmul::Cuda::workspace_bytes() const { return impl_->workspace_bytes; }

void Matmul::Cuda::run(ConstTensor a, ConstTensor b, ConstTensor bias, Tensor c, Tensor workspace,
                       ConstTensor added, Tensor sum) {
  impl_->run(a, b, bias, c, workspace, added, sum);
}

}  // namespace lockstep
