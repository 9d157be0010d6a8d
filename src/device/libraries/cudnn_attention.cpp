#include "src/device/libraries/cudnn_attention.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <utility>

#include "src/device/cuda_check.h"

namespace lockstep {

namespace {

using Tensor = CudnnGraph::Tensor;
using Extents = CudnnGraph::Extents;

constexpr int64_t kMaxWidth = 128;
constexpr int64_t kWidthMultiple = 8;  ///< vectors of 16 bytes

/// How the graphs name what a run is given.
enum AttentionId : int64_t {
  kQueries = 1,
  kKeys,
  kValues,
  kY,
  kLogSums,
  kDy,
  kDQueries,
  kDKeys,
  kDValues,
  kDots,
  kScale,
  kInfinity,
  kOne
};

/// The tensors of attention as (samples, heads, positions, ...).
struct Layout {
  explicit Layout(const CudnnAttention& a)
      : rows{a.samples, a.heads, a.positions, a.width},
        columns{a.samples, a.heads, a.width, a.positions},
        scores{a.samples, a.heads, a.positions, a.positions},
        sums{a.samples, a.heads, a.positions, 1},
        in_qkv{a.positions * 3 * a.heads * a.width, a.width, 3 * a.heads * a.width, 1},
        columns_in_qkv{in_qkv[0], in_qkv[1], in_qkv[3], in_qkv[2]},
        in_y{a.positions * a.heads * a.width, a.width, a.heads * a.width, 1},
        in_sums{a.heads * a.positions, a.positions, 1, 1},
        columns_of_scores{a.heads * a.positions * a.positions, a.positions * a.positions, 1, a.positions} {}

  /// Extents of queries, keys, values and outputs; of their transposes; of what there is for each pair of
  /// positions; and of what there is for each query.
  Extents rows, columns, scores, sums;
  /// Strides in memory; columns_of_scores are those of transposed scores.
  Extents in_qkv, columns_in_qkv, in_y, in_sums, columns_of_scores;
};

/// Makes the scores -infinity that a query does not read.
Tensor causal(CudnnGraph& graph, const Layout& layout, Tensor scores) {
  const Tensor query = graph.index(scores, 2, graph.between(CUDNN_DATA_INT32, layout.scores));
  const Tensor key = graph.index(scores, 3, graph.between(CUDNN_DATA_INT32, layout.scores));
  const Tensor reads =
      graph.combine(CUDNN_POINTWISE_CMP_GE, query, key, graph.between(CUDNN_DATA_BOOLEAN, layout.scores));
  return graph.select(reads, scores, graph.number(kInfinity, 4),
                      graph.between(CUDNN_DATA_FLOAT, layout.scores));
}

/// The softmax of a row is computed like this, and not by an operation, because cuDNN recognizes attention by
/// these operations.
CudnnGraph forward_graph(cudnnHandle_t handle, const CudnnAttention& a) {
  const Layout layout(a);
  CudnnGraph graph(handle);
  const auto pairs = [&] { return graph.between(CUDNN_DATA_FLOAT, layout.scores); };
  const auto rows = [&] { return graph.between(CUDNN_DATA_FLOAT, layout.sums); };
  const Tensor queries = graph.tensor(kQueries, a.type, layout.rows, layout.in_qkv);
  const Tensor keys = graph.tensor(kKeys, a.type, layout.columns, layout.columns_in_qkv);
  const Tensor values = graph.tensor(kValues, a.type, layout.rows, layout.in_qkv);
  const Tensor dots = graph.multiply(queries, keys, pairs());
  Tensor scores = graph.combine(CUDNN_POINTWISE_MUL, dots, graph.number(kScale, 4), pairs());
  if (a.causal) scores = causal(graph, layout, scores);
  const Tensor largest = graph.reduce(CUDNN_REDUCE_TENSOR_MAX, scores, rows());
  const Tensor shifted = graph.combine(CUDNN_POINTWISE_SUB, scores, largest, pairs());
  const Tensor powers = graph.map(CUDNN_POINTWISE_EXP, shifted, pairs());
  const Tensor sums = graph.reduce(CUDNN_REDUCE_TENSOR_ADD, powers, rows());
  const Tensor logarithms = graph.map(CUDNN_POINTWISE_LOG, sums, rows());
  graph.combine(CUDNN_POINTWISE_ADD, largest, logarithms,
                graph.tensor(kLogSums, CUDNN_DATA_FLOAT, layout.sums, layout.in_sums));
  const Tensor probabilities =
      graph.combine(CUDNN_POINTWISE_DIV, powers, sums, graph.between(a.type, layout.scores));
  graph.multiply(probabilities, values, graph.tensor(kY, a.type, layout.rows, layout.in_y));
  return graph;
}

CudnnGraph backward_graph(cudnnHandle_t handle, const CudnnAttention& a) {
  const Layout layout(a);
  CudnnGraph graph(handle);
  const auto pairs = [&] { return graph.between(CUDNN_DATA_FLOAT, layout.scores); };
  const auto transposed = [&](Tensor of_pairs) {
    return graph.reshape(of_pairs, graph.between(a.type, layout.scores, layout.columns_of_scores));
  };
  const Tensor queries = graph.tensor(kQueries, a.type, layout.rows, layout.in_qkv);
  const Tensor keys = graph.tensor(kKeys, a.type, layout.columns, layout.columns_in_qkv);
  const Tensor values = graph.tensor(kValues, a.type, layout.columns, layout.columns_in_qkv);
  const Tensor y = graph.tensor(kY, a.type, layout.rows, layout.in_y);
  const Tensor dy = graph.tensor(kDy, a.type, layout.rows, layout.in_y);
  const Tensor log_sums = graph.tensor(kLogSums, CUDNN_DATA_FLOAT, layout.sums, layout.in_sums);
  const Tensor scale = graph.number(kScale, 4);
  // The dot product of a row of y and of dy; in memory, because other kernels than the first read it.
  const Tensor products =
      graph.combine(CUDNN_POINTWISE_MUL, dy, y, graph.between(CUDNN_DATA_FLOAT, layout.rows));
  const Tensor sums =
      graph.reduce(CUDNN_REDUCE_TENSOR_ADD, products, graph.between(CUDNN_DATA_FLOAT, layout.sums));
  const Tensor dots = graph.combine(CUDNN_POINTWISE_MUL, sums, graph.number(kOne, 4),
                                    graph.tensor(kDots, CUDNN_DATA_FLOAT, layout.sums, layout.in_sums));
  // The probabilities again, and the gradient of the values.
  Tensor scores = graph.multiply(queries, keys, pairs());
  scores = graph.combine(CUDNN_POINTWISE_MUL, scores, scale, pairs());
  scores = graph.combine(CUDNN_POINTWISE_SUB, scores, log_sums, pairs());
  if (a.causal) scores = causal(graph, layout, scores);
  const Tensor probabilities = graph.map(CUDNN_POINTWISE_EXP, scores, pairs());
  graph.multiply(transposed(probabilities), dy, graph.tensor(kDValues, a.type, layout.rows, layout.in_qkv));
  // The gradients of the scores, and what follows from them.
  Tensor dscores = graph.multiply(dy, values, pairs());
  dscores = graph.combine(CUDNN_POINTWISE_SUB, dscores, dots, pairs());
  dscores = graph.combine(CUDNN_POINTWISE_MUL, dscores, probabilities, pairs());
  dscores = graph.combine(CUDNN_POINTWISE_MUL, dscores, scale, graph.between(a.type, layout.scores));
  graph.multiply(transposed(dscores), queries, graph.tensor(kDKeys, a.type, layout.rows, layout.in_qkv));
  const Tensor rows_of_keys = graph.reshape(keys, graph.between(a.type, layout.rows, layout.in_qkv));
  graph.multiply(dscores, rows_of_keys, graph.tensor(kDQueries, a.type, layout.rows, layout.in_qkv));
  return graph;
}

/// Of backward, at the start of the workspace: a float for each row, then that of the plan.
size_t bytes_of_dots(const CudnnAttention& a) {
  constexpr size_t kAlignment = 256;
  if (a.direction == CudnnAttention::Direction::forward) return 0;
  const auto bytes = static_cast<size_t>(a.samples * a.heads * a.positions) * sizeof(float);
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

/// From the queries of a position to its keys, and from there to its values.
size_t bytes_of_part(const CudnnAttention& a) {
  return static_cast<size_t>(a.heads * a.width) * sizeof(uint16_t);
}

}  // namespace

CudnnAttentionPlan::CudnnAttentionPlan(const CudnnAttention& attention, CudnnPlan plan)
    : attention_(attention),
      scale_(1.0f / std::sqrt(static_cast<float>(attention.width))),
      plan_(std::move(plan)) {}

size_t CudnnAttentionPlan::workspace_bytes() const {
  return bytes_of_dots(attention_) + plan_.workspace_bytes();
}

std::vector<CudnnArgument> CudnnAttentionPlan::numbers() const {
  static constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();
  std::vector<CudnnArgument> arguments = {{kScale, &scale_}};
  if (attention_.causal) arguments.push_back({kInfinity, &kMinusInfinity});
  return arguments;
}

void CudnnAttentionPlan::forward(cudnnHandle_t handle, const void* qkv, void* y, void* log_sums,
                                 void* workspace) const {
  const auto* const parts = static_cast<const std::byte*>(qkv);
  const size_t part = bytes_of_part(attention_);
  std::vector<CudnnArgument> arguments = numbers();
  arguments.insert(
      arguments.end(),
      {{kQueries, parts}, {kKeys, parts + part}, {kValues, parts + 2 * part}, {kY, y}, {kLogSums, log_sums}});
  plan_.run(handle, arguments, workspace);
}

void CudnnAttentionPlan::backward(cudnnHandle_t handle, const void* qkv, const void* y, const void* log_sums,
                                  const void* dy, void* dqkv, void* workspace) const {
  static constexpr float kOneNumber = 1.0f;
  const auto *const parts = static_cast<const std::byte*>(qkv), *const dparts =
                                                                    static_cast<const std::byte*>(dqkv);
  const size_t part = bytes_of_part(attention_);
  std::vector<CudnnArgument> arguments = numbers();
  arguments.insert(arguments.end(), {{kQueries, parts},
                                     {kKeys, parts + part},
                                     {kValues, parts + 2 * part},
                                     {kY, y},
                                     {kLogSums, log_sums},
                                     {kDy, dy},
                                     {kDQueries, dparts},
                                     {kDKeys, dparts + part},
                                     {kDValues, dparts + 2 * part},
                                     {kDots, workspace},
                                     {kOne, &kOneNumber}});
  plan_.run(handle, arguments, static_cast<std::byte*>(workspace) + bytes_of_dots(attention_));
}

std::string in_words(const CudnnAttention& a) {
  return fmt::format("attention {} in {} of {} samples, {} positions, {} heads of {}{}",
                     a.direction == CudnnAttention::Direction::forward ? "forward" : "backward",
                     a.type == CUDNN_DATA_BFLOAT16 ? "bf16" : "fp16", a.samples, a.positions, a.heads,
                     a.width, a.causal ? ", causal" : "");
}

CudnnGraph graph_of(cudnnHandle_t handle, const CudnnAttention& attention) {
  return attention.direction == CudnnAttention::Direction::forward ? forward_graph(handle, attention)
                                                                   : backward_graph(handle, attention);
}

bool may_be_planned(const CudnnAttention& a, int major, int minor) {
  if (a.width > kMaxWidth || a.width % kWidthMultiple != 0) return false;
  if (a.direction == CudnnAttention::Direction::forward) return true;
  return major == 9 && minor == 0 && (a.positions % 128 == 0 || cudnnGetVersion() >= 91600);
}

std::vector<CudnnAttentionPlan> make_plans(cudnnHandle_t handle, const CudnnAttention& attention) {
  int device = 0;
  cudaDeviceProp gpu{};
  CHECK(cudaGetDevice(&device));
  CHECK(cudaGetDeviceProperties(&gpu, device));
  std::vector<CudnnAttentionPlan> plans;
  if (!may_be_planned(attention, gpu.major, gpu.minor)) return plans;
  for (CudnnPlan& plan :
       make_plans(graph_of(handle, attention), {.compiled_at_run_time = true}, kMaxAttentionPlans))
    plans.emplace_back(attention, std::move(plan));
  return plans;
}

}  // namespace lockstep
