// cuBLASLt on the CPU: products of column-major matrices. Rules are those of the cuBLAS documentation,
// chapter "Using the cuBLASLt API", and of the comments in cublasLt.h; what the real library leaves undefined
// is an error here. It offers algorithms as the real one does: with and without split-K, one that sums in an
// order left to chance, and one that does not work.
#include <algorithm>
#include <bit>
#include <climits>
#include <cmath>
#include <cstring>
#include <initializer_list>
#include <vector>

#include "tests/support/emulator/account/account.h"
#include "tests/support/emulator/cublas_lt_descriptors.h"
#include "tests/support/emulator/element.h"

namespace emulator::cublas_lt {

namespace {

struct Problem {
  Operation operation;
  Layout a, b, c, d;
  size_t m, n, k;

  /// What the epilogue writes beside D: a matrix like D, but for its leading dimension.
  Layout aux() const { return {d.type, d.rows, d.columns, operation.aux_leading}; }

  /// Tells problems apart for which an algorithm was chosen; the value of a pointer is none of it.
  uint64_t fingerprint() const {
    uint64_t hash = 14695981039346656037u;
    for (const uint64_t part :
         {static_cast<uint64_t>(operation.compute), uint64_t{operation.epilogue},
          static_cast<uint64_t>(operation.transpose_a), static_cast<uint64_t>(operation.transpose_b), m, n, k,
          static_cast<uint64_t>(a.leading), static_cast<uint64_t>(b.leading),
          static_cast<uint64_t>(c.leading), static_cast<uint64_t>(d.leading),
          static_cast<uint64_t>(operation.aux_leading), uint64_t{a.type}, uint64_t{d.type}})
      hash = (hash ^ part) * 1099511628211u;
    return hash;
  }
};

/// What is inside a cublasLtMatmulAlgo_t.
struct Algorithm {
  uint64_t magic = kMagic;
  uint64_t problem;
  uint64_t workspace_bytes;
  uint32_t reduction;
  int32_t splits;  ///< of k
  std::array<uint32_t, 4> alignment;
  uint32_t bias_alignment, aux_alignment;
  uint32_t unused[2] = {};

  static constexpr uint64_t kMagic = 0x6c75636f6d706172;
};
static_assert(sizeof(Algorithm) == sizeof(cublasLtMatmulAlgo_t));

size_t largest_alignment(const void* pointer) {
  const auto address = reinterpret_cast<uintptr_t>(pointer);
  return address == 0 ? 256 : size_t{1} << std::min(8, std::countr_zero(address));
}
bool aligned(const void* pointer, size_t alignment) {
  return reinterpret_cast<uintptr_t>(pointer) % alignment == 0;
}

/// CUBLASLT_MATRIX_LAYOUT_LD: a column may not reach into the next. CUBLASLT_MATRIX_LAYOUT_ROWS: sizes fit
/// int32_t.
bool is_sane(const Layout& layout) {
  return layout.rows > 0 && layout.columns > 0 && layout.rows <= INT_MAX && layout.columns <= INT_MAX &&
         layout.leading >= static_cast<int64_t>(layout.rows);
}

cublasStatus_t understand(cublasLtMatmulDesc_t operation_handle, cublasLtMatrixLayout_t a_handle,
                          cublasLtMatrixLayout_t b_handle, cublasLtMatrixLayout_t c_handle,
                          cublasLtMatrixLayout_t d_handle, Problem* problem) {
  const Operation* operation = operations.find(operation_handle);
  const Layout *a = layouts.find(a_handle), *b = layouts.find(b_handle), *c = layouts.find(c_handle),
               *d = layouts.find(d_handle);
  if (operation == nullptr || a == nullptr || b == nullptr || c == nullptr || d == nullptr)
    return CUBLAS_STATUS_INVALID_VALUE;
  const auto is_transpose = [](int32_t value) { return value == CUBLAS_OP_N || value == CUBLAS_OP_T; };
  if (!is_transpose(operation->transpose_a) || !is_transpose(operation->transpose_b))
    return CUBLAS_STATUS_INVALID_VALUE;
  for (const Layout* layout : {a, b, c, d})
    if (!is_sane(*layout)) return CUBLAS_STATUS_INVALID_VALUE;
  const bool at = operation->transpose_a == CUBLAS_OP_T, bt = operation->transpose_b == CUBLAS_OP_T;
  *problem = {*operation,
              *a,
              *b,
              *c,
              *d,
              at ? a->columns : a->rows,
              bt ? b->rows : b->columns,
              at ? a->rows : a->columns};
  for (const Layout* result : {c, d})
    if (result->rows != problem->m || result->columns != problem->n) return CUBLAS_STATUS_INVALID_VALUE;
  if ((bt ? b->columns : b->rows) != problem->k) return CUBLAS_STATUS_INVALID_VALUE;

  const bool tf32 = operation->compute == CUBLAS_COMPUTE_32F_FAST_TF32;
  if (operation->compute != CUBLAS_COMPUTE_32F && operation->compute != CUBLAS_COMPUTE_32F_PEDANTIC && !tf32)
    return CUBLAS_STATUS_NOT_SUPPORTED;
  if (operation->epilogue != CUBLASLT_EPILOGUE_DEFAULT && !operation->has_bias() && !operation->has_gelu())
    return CUBLAS_STATUS_NOT_SUPPORTED;
  // CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD: "divisible by 8 and no less than the number of rows".
  if (operation->has_gelu() && (!is_sane(problem->aux()) || operation->aux_leading % 8 != 0))
    return CUBLAS_STATUS_INVALID_VALUE;
  // The table of types of cublasLtMatmul(): factors of one type; the result has it, too, or is of floats; the
  // bias has that of the result.
  const bool narrow = a->type != CUDA_R_32F;
  if (operation->scale != CUDA_R_32F || !emulator::is_supported(a->type) || a->type != b->type ||
      c->type != d->type || (d->type != a->type && d->type != CUDA_R_32F) || (narrow && tf32))
    return CUBLAS_STATUS_NOT_SUPPORTED;
  if (operation->bias_type && *operation->bias_type != d->type) return CUBLAS_STATUS_NOT_SUPPORTED;
  return CUBLAS_STATUS_SUCCESS;
}

struct Arguments {
  float alpha, beta;
  const void *a, *b, *c;
  void* d;
  float* workspace;
};

double gelu(double x) {
  constexpr double kSqrtTwoOverPi = 0.79788456080286536;
  return 0.5 * x * (1 + std::tanh(kSqrtTwoOverPi * (x + 0.044715 * x * x * x)));
}

/// partial (m, n), column-major = op(A) op(B) over a part of k.
void multiply(const Problem& p, const Arguments& arguments, size_t first, size_t last, float* partial) {
  const bool at = p.operation.transpose_a == CUBLAS_OP_T, bt = p.operation.transpose_b == CUBLAS_OP_T;
  const auto a_leading = static_cast<size_t>(p.a.leading), b_leading = static_cast<size_t>(p.b.leading);
  const auto factor = [&](const void* array, size_t i) {
    const float value = load(p.a.type, array, i);
    return p.operation.compute == CUBLAS_COMPUTE_32F_FAST_TF32 ? as_tf32(value) : value;
  };
  std::vector<float> a((last - first) * p.m);  // packed, so that the inner loop is contiguous
  for (size_t l = first; l < last; ++l)
    for (size_t i = 0; i < p.m; ++i)
      a[(l - first) * p.m + i] = factor(arguments.a, at ? i * a_leading + l : l * a_leading + i);
  std::vector<double> column(p.m);
  for (size_t j = 0; j < p.n; ++j) {
    std::fill(column.begin(), column.end(), 0.0);
    for (size_t l = first; l < last; ++l) {
      const double b = factor(arguments.b, bt ? l * b_leading + j : j * b_leading + l);
      const float* a_column = a.data() + (l - first) * p.m;
      for (size_t i = 0; i < p.m; ++i) column[i] += a_column[i] * b;
    }
    std::transform(column.begin(), column.end(), partial + j * p.m,
                   [](double value) { return static_cast<float>(value); });
  }
}

void run(const Problem& p, const Algorithm& algorithm, const Arguments& arguments) {
  scribble(arguments.workspace, algorithm.workspace_bytes);
  const auto splits = static_cast<size_t>(algorithm.splits);
  const bool in_workspace = algorithm.reduction == CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
  std::vector<float> own(in_workspace ? 0 : splits * p.m * p.n);
  float* partials = in_workspace ? arguments.workspace : own.data();
  for (size_t s = 0; s < splits; ++s)
    multiply(p, arguments, p.k * s / splits, p.k * (s + 1) / splits, partials + s * p.m * p.n);

  for (size_t j = 0; j < p.n; ++j)
    for (size_t i = 0; i < p.m; ++i) {
      float sum = partials[j * p.m + i];
      for (size_t s = 1; s < splits; ++s) sum += partials[(s * p.n + j) * p.m + i];
      if (algorithm.reduction == CUBLASLT_REDUCTION_SCHEME_INPLACE) sum = static_cast<float>(unsteady(sum));
      float value = arguments.alpha * sum;
      if (arguments.beta != 0)
        value += arguments.beta * load(p.c.type, arguments.c, j * static_cast<size_t>(p.c.leading) + i);
      if (p.operation.has_bias()) value += load(p.d.type, p.operation.bias, i);
      if (p.operation.has_gelu()) {
        store(p.d.type, p.operation.aux, j * static_cast<size_t>(p.operation.aux_leading) + i, value);
        value = static_cast<float>(gelu(value));
      }
      store(p.d.type, arguments.d, j * static_cast<size_t>(p.d.leading) + i, value);
    }
}

/// As if each operand were read once and the result written once.
void count(const Problem& p, const Arguments& arguments) {
  const size_t bias_bytes = p.operation.has_bias() ? p.m * size_of(p.d.type) : 0;
  const size_t aux_bytes = p.operation.has_gelu() ? p.aux().bytes() : 0;
  const size_t c_bytes = arguments.beta == 0 ? 0 : p.c.bytes();
  const bool rounds = p.operation.compute == CUBLAS_COMPUTE_32F_FAST_TF32;
  account::count_call("matmul", arithmetic_of(p.a.type, rounds), uint64_t{2} * p.m * p.n * p.k,
                      p.a.bytes() + p.b.bytes() + c_bytes + bias_bytes, p.d.bytes() + aux_bytes);
  if (arguments.beta == 0) account::clear(arguments.d, p.d.bytes());
}

}  // namespace

}  // namespace emulator::cublas_lt

using namespace emulator::cublas_lt;
using emulator::Range;

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t operation,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference_handle, int wanted,
                                              cublasLtMatmulHeuristicResult_t results[], int* found) {
  if (contexts.find(handle) == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  const Preference* preference = preferences.find(preference_handle);
  if (preference == nullptr || wanted <= 0 || results == nullptr || found == nullptr)
    return CUBLAS_STATUS_INVALID_VALUE;
  *found = 0;
  Problem problem;
  if (const cublasStatus_t status = understand(operation, a, b, c, d, &problem)) return status;
  // For some problems the real library has no algorithm with such an epilogue, and does not document for
  // which.
  if (problem.operation.has_gelu() && problem.k % 8 != 0) return CUBLAS_STATUS_NOT_SUPPORTED;

  const auto offer = [&](cublasLtReductionScheme_t reduction, int32_t splits, uint64_t workspace_bytes) {
    // The mask filters ways of split-K; an algorithm without it is always in.
    const bool allowed =
        reduction == CUBLASLT_REDUCTION_SCHEME_NONE || (preference->reductions & reduction) != 0;
    if (!allowed || workspace_bytes > preference->workspace_bytes || *found == wanted) return;
    const Algorithm algorithm{
        .problem = problem.fingerprint(),
        .workspace_bytes = workspace_bytes,
        .reduction = reduction,
        .splits = splits,
        .alignment = preference->alignment,
        .bias_alignment = static_cast<uint32_t>(largest_alignment(problem.operation.bias)),
        .aux_alignment = static_cast<uint32_t>(largest_alignment(problem.operation.aux))};
    results[(*found)++] = {.algo = std::bit_cast<cublasLtMatmulAlgo_t>(algorithm),
                           .workspaceSize = workspace_bytes,
                           .state = CUBLAS_STATUS_SUCCESS,
                           .wavesCount = 1,
                           .reserved = {}};
  };
  const auto offer_useless = [&] {
    if (*found == wanted) return;
    std::memset(static_cast<void*>(&results[*found]), 0xff, sizeof results[*found]);
    results[(*found)++].state = CUBLAS_STATUS_NOT_SUPPORTED;
  };
  constexpr uint64_t kCounters = 1024;
  offer(CUBLASLT_REDUCTION_SCHEME_INPLACE, 2, kCounters);
  offer_useless();
  offer(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE, 2, 2 * problem.m * problem.n * sizeof(float));
  offer(CUBLASLT_REDUCTION_SCHEME_NONE, 1, 0);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t* algo,
                                                    cublasLtMatmulAlgoConfigAttributes_t attribute,
                                                    void* value, size_t bytes, size_t* written) {
  if (algo == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  const auto algorithm = std::bit_cast<Algorithm>(*algo);
  if (algorithm.magic != Algorithm::kMagic) return CUBLAS_STATUS_INVALID_VALUE;
  uint32_t result = 0;
  switch (attribute) {
    case CUBLASLT_ALGO_CONFIG_SPLITK_NUM:
      result = static_cast<uint32_t>(algorithm.splits);
      break;
    case CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME:
      result = algorithm.reduction;
      break;
    default:
      return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (bytes == 0 ? written == nullptr : value == nullptr || bytes != sizeof result)
    return CUBLAS_STATUS_INVALID_VALUE;
  if (bytes != 0) std::memcpy(value, &result, sizeof result);
  if (written != nullptr) *written = sizeof result;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t operation, const void* alpha,
                              const void* a, cublasLtMatrixLayout_t a_layout, const void* b,
                              cublasLtMatrixLayout_t b_layout, const void* beta, const void* c,
                              cublasLtMatrixLayout_t c_layout, void* d, cublasLtMatrixLayout_t d_layout,
                              const cublasLtMatmulAlgo_t* algo, void* workspace, size_t workspace_bytes,
                              cudaStream_t stream) {
  if (contexts.find(handle) == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  Problem problem;
  if (const cublasStatus_t status = understand(operation, a_layout, b_layout, c_layout, d_layout, &problem))
    return status;
  Arguments arguments{};
  if (!read(&arguments.alpha, alpha, sizeof(float)) || !read(&arguments.beta, beta, sizeof(float)))
    return CUBLAS_STATUS_INVALID_VALUE;
  if (a == nullptr || b == nullptr || d == nullptr || (c == nullptr && arguments.beta != 0))
    return CUBLAS_STATUS_INVALID_VALUE;
  // The real library would choose one itself, and the bits of the result with it; it would also take the null
  // stream, which does not wait for other streams and which the emulated runtime does not have.
  if (algo == nullptr || stream == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  const auto algorithm = std::bit_cast<Algorithm>(*algo);
  if (algorithm.magic != Algorithm::kMagic || algorithm.problem != problem.fingerprint())
    return CUBLAS_STATUS_INVALID_VALUE;

  // "Must be 256B aligned", and no smaller than what the heuristic asked for.
  if (workspace_bytes < algorithm.workspace_bytes) return CUBLAS_STATUS_INVALID_VALUE;
  if (algorithm.workspace_bytes > 0 && (workspace == nullptr || !aligned(workspace, 256)))
    return CUBLAS_STATUS_INVALID_VALUE;
  const void* bias = problem.operation.has_bias() ? problem.operation.bias : nullptr;
  if (problem.operation.has_bias() && (bias == nullptr || !aligned(bias, algorithm.bias_alignment)))
    return CUBLAS_STATUS_INVALID_VALUE;
  const void* aux = problem.operation.has_gelu() ? problem.operation.aux : nullptr;
  if (problem.operation.has_gelu() && (aux == nullptr || !aligned(aux, algorithm.aux_alignment)))
    return CUBLAS_STATUS_INVALID_VALUE;
  // CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_*: what was promised.
  const std::array<const void*, 4> pointers = {a, b, c, d};
  for (size_t i = 0; i < pointers.size(); ++i)
    if (!aligned(pointers.at(i), algorithm.alignment.at(i))) return CUBLAS_STATUS_INVALID_VALUE;

  // Only C may be D, with the same layout.
  const Range d_range{d, problem.d.bytes()}, scratch{workspace, algorithm.workspace_bytes},
      aux_range{aux, aux == nullptr ? 0 : problem.aux().bytes()};
  const std::array<Range, 4> inputs = {
      Range{a, problem.a.bytes()}, Range{b, problem.b.bytes()},
      Range{bias, bias == nullptr ? 0 : problem.m * emulator::size_of(problem.d.type)},
      Range{c == d ? nullptr : c, c == d ? 0 : problem.c.bytes()}};
  if (c == d && problem.c.leading != problem.d.leading) return CUBLAS_STATUS_INVALID_VALUE;
  if (scratch.overlaps(d_range) || aux_range.overlaps(d_range) || aux_range.overlaps(scratch))
    return CUBLAS_STATUS_INVALID_VALUE;
  for (const Range& input : inputs)
    if (input.overlaps(d_range) || input.overlaps(scratch) || input.overlaps(aux_range))
      return CUBLAS_STATUS_INVALID_VALUE;

  arguments.a = a;
  arguments.b = b;
  arguments.c = c;
  arguments.d = d;
  arguments.workspace = static_cast<float*>(workspace);
  return emulator::launch(stream,
                          [=] {
                            if (emulator::account::kEnabled)
                              count(problem, arguments);
                            else
                              run(problem, algorithm, arguments);
                          })
             ? CUBLAS_STATUS_SUCCESS
             : CUBLAS_STATUS_EXECUTION_FAILED;
}
