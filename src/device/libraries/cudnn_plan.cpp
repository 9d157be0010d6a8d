#include "src/device/libraries/cudnn_plan.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace lockstep {

namespace {

using cudnn::create;
using cudnn::refer;
using cudnn::set;

using Direction = CudnnConvolution::Direction;

CudnnDescriptor geometry(const CudnnConvolution& convolution) {
  CudnnDescriptor descriptor = create(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  set(descriptor, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, static_cast<int64_t>(convolution.stride.size()));
  set(descriptor, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT);
  set(descriptor, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_CROSS_CORRELATION);
  set(descriptor, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, convolution.pad_before);
  set(descriptor, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, convolution.pad_after);
  set(descriptor, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, convolution.stride);
  set(descriptor, CUDNN_ATTR_CONVOLUTION_DILATIONS, convolution.dilation);
  return descriptor;
}

/// The names of one direction's operation and its attributes.
struct Operation {
  cudnnBackendDescriptorType_t type;
  cudnnBackendAttributeName_t geometry, data, filters, result, alpha, beta;
};

Operation operation_of(Direction direction) {
  switch (direction) {
    case Direction::forward:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
    case Direction::data_gradient:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
    case Direction::filter_gradient:
      break;
  }
  return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
}

CudnnGraph graph_of(cudnnHandle_t handle, const CudnnConvolution& convolution) {
  CudnnGraph graph(handle);
  const auto tensor = [&](int64_t id, const std::vector<int64_t>& extents) {
    return graph.tensor(id, convolution.type, extents, channels_last_strides(extents));
  };
  add_convolution(graph, convolution, tensor(CudnnConvolution::kData, convolution.data),
                  tensor(CudnnConvolution::kFilters, convolution.filters),
                  tensor(CudnnConvolution::kResult, convolution.result));
  return graph;
}

/// The sums are taken one after the other, since cuDNN's own operation for both (GEN_STATS) adds floats in
/// the order in which blocks arrive.
CudnnGraph graph_with_sums(cudnnHandle_t handle, const CudnnConvolution& convolution) {
  CudnnGraph graph(handle);
  const auto tensor = [&](int64_t id, const std::vector<int64_t>& extents, cudnnDataType_t type) {
    return graph.tensor(id, type, extents, channels_last_strides(extents));
  };
  const CudnnGraph::Tensor result = tensor(CudnnConvolution::kResult, convolution.result, convolution.type);
  add_convolution(graph, convolution, tensor(CudnnConvolution::kData, convolution.data, convolution.type),
                  tensor(CudnnConvolution::kFilters, convolution.filters, convolution.type), result);
  std::vector<int64_t> channels(convolution.result.size(), 1);
  channels[1] = convolution.result[1];
  graph.reduce(CUDNN_REDUCE_TENSOR_ADD, result, tensor(CudnnSums::kSums, channels, CUDNN_DATA_FLOAT),
               /*in_fixed_order=*/true);
  const CudnnGraph::Tensor squares = graph.combine(
      CUDNN_POINTWISE_MUL, result, result,
      graph.between(CUDNN_DATA_FLOAT, convolution.result, channels_last_strides(convolution.result)));
  graph.reduce(CUDNN_REDUCE_TENSOR_ADD, squares, tensor(CudnnSums::kSquares, channels, CUDNN_DATA_FLOAT),
               /*in_fixed_order=*/true);
  return graph;
}

/// All that distinguishes it from others.
std::string in_words(const CudnnConvolution& c) {
  constexpr const char* kDirections[] = {"forward", "data gradient", "filter gradient"};
  const auto list = [](const std::vector<int64_t>& values) {
    return fmt::format("{}", fmt::join(values, ","));
  };
  const char* const type = c.type == CUDNN_DATA_FLOAT      ? "fp32"
                           : c.type == CUDNN_DATA_BFLOAT16 ? "bf16"
                                                           : "fp16";
  return fmt::format("{} in {}{} data {} filters {} result {} padding {}/{} stride {} dilation {}{}",
                     kDirections[static_cast<size_t>(c.direction)], type, c.tf32 ? " as tf32" : "",
                     list(c.data), list(c.filters), list(c.result), list(c.pad_before), list(c.pad_after),
                     list(c.stride), list(c.dilation), c.adds ? " adds" : "");
}

double seconds_since(std::chrono::steady_clock::time_point started) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
}

size_t bytes_of(const CudnnConvolution& convolution, const std::vector<int64_t>& extents) {
  int64_t elements = 1;
  for (const int64_t extent : extents) elements *= extent;
  return static_cast<size_t>(elements) * (convolution.type == CUDNN_DATA_FLOAT ? 4 : 2);
}

}  // namespace

std::vector<int64_t> channels_last_strides(const std::vector<int64_t>& extents) {
  std::vector<int64_t> result(extents.size(), 1);
  int64_t step = extents[1];
  for (size_t axis = extents.size() - 1; axis >= 2; --axis) {
    result[axis] = step;
    step *= extents[axis];
  }
  result[0] = step;
  return result;
}

void add_convolution(CudnnGraph& graph, const CudnnConvolution& convolution, CudnnGraph::Tensor data,
                     CudnnGraph::Tensor filters, CudnnGraph::Tensor result) {
  const Operation names = operation_of(convolution.direction);
  CudnnDescriptor operation = create(names.type);
  refer(operation, names.geometry, graph.keep(geometry(convolution)));
  refer(operation, names.data, data);
  refer(operation, names.filters, filters);
  refer(operation, names.result, result);
  set(operation, names.alpha, 1.0f);
  set(operation, names.beta, convolution.adds ? 1.0f : 0.0f);
  graph.add(std::move(operation));
}

const CudnnPlan* CudnnPlans::find(cudnnHandle_t handle, const CudnnConvolution& convolution) {
  auto found = convolutions_.find(convolution);
  if (found == convolutions_.end())
    found = convolutions_.emplace(convolution, make(handle, convolution)).first;
  return found->second ? &*found->second : nullptr;
}

std::optional<CudnnPlan> CudnnPlans::make(cudnnHandle_t handle, const CudnnConvolution& convolution) const {
  const auto started = std::chrono::steady_clock::now();
  const CudnnEngineRules rules{.tensor_cores = convolution.type != CUDNN_DATA_FLOAT || convolution.tf32};
  std::vector<CudnnPlan> plans = make_plans(graph_of(handle, convolution), rules, choose_ ? kMaxChoices : 1);
  if (plans.empty()) return std::nullopt;
  if (!choose_) return std::move(plans.front());
  const auto run = [&](size_t engine, const std::vector<void*>& memory) {
    plans[engine].run(handle,
                      {{CudnnConvolution::kData, memory[0]},
                       {CudnnConvolution::kFilters, memory[1]},
                       {CudnnConvolution::kResult, memory[2]}},
                      memory[3]);
  };
  const EngineChoice choice{
      .operation = in_words(convolution),
      .engines = plans.size(),
      .preparing_seconds = seconds_since(started),
      .bytes = {bytes_of(convolution, convolution.data), bytes_of(convolution, convolution.filters),
                bytes_of(convolution, convolution.result),
                std::ranges::max_element(plans, {}, &CudnnPlan::workspace_bytes)->workspace_bytes()},
      .run = run};
  return std::move(plans[choose_(choice)]);
}

const CudnnAttentionPlan* CudnnPlans::find(cudnnHandle_t handle, const CudnnAttention& attention,
                                           const AttentionKernels& ours) {
  auto found = attentions_.find(attention);
  if (found == attentions_.end()) {
    if (!choose_) return nullptr;
    found = attentions_.emplace(attention, make(handle, attention, ours)).first;
  }
  return found->second ? &*found->second : nullptr;
}

std::optional<CudnnAttentionPlan> CudnnPlans::make(cudnnHandle_t handle, const CudnnAttention& attention,
                                                   const AttentionKernels& ours) const {
  const auto started = std::chrono::steady_clock::now();
  std::vector<CudnnAttentionPlan> plans = make_plans(handle, attention);
  size_t workspace_bytes = ours.workspace_bytes;
  for (const CudnnAttentionPlan& plan : plans)
    workspace_bytes = std::max(workspace_bytes, plan.workspace_bytes());
  const auto rows = static_cast<size_t>(attention.samples * attention.heads * attention.positions);
  const size_t y_bytes = rows * static_cast<size_t>(attention.width) * sizeof(uint16_t);
  const bool is_backward = attention.direction == CudnnAttention::Direction::backward;
  const auto run = [&](size_t engine, const std::vector<void*>& memory) {
    const AttentionKernels::Memory m{memory[0], memory[1], memory[2], memory[3], memory[4], memory[5]};
    if (engine == 0)
      ours.run(m);
    else if (is_backward)
      plans[engine - 1].backward(handle, m.qkv, m.y, m.log_sums, m.dy, m.dqkv, m.workspace);
    else
      plans[engine - 1].forward(handle, m.qkv, m.y, m.log_sums, m.workspace);
  };
  const EngineChoice choice{.operation = in_words(attention),
                            .engines = 1 + plans.size(),
                            .preparing_seconds = seconds_since(started),
                            .bytes = {3 * y_bytes, y_bytes, rows * sizeof(float), is_backward ? y_bytes : 0,
                                      is_backward ? 3 * y_bytes : 0, workspace_bytes},
                            .run = run};
  const size_t place = choose_(choice);
  if (place == 0) return std::nullopt;
  return std::move(plans[place - 1]);
}

const CudnnPlan* CudnnPlans::find_with_sums(cudnnHandle_t handle, const Summed& summed) {
  auto found = summing_.find(summed.convolution);
  if (found == summing_.end()) {
    if (!choose_) return nullptr;
    found = summing_.emplace(summed.convolution, make_with_sums(handle, summed)).first;
  }
  return found->second ? &*found->second : nullptr;
}

std::optional<CudnnPlan> CudnnPlans::make_with_sums(cudnnHandle_t handle, const Summed& summed) const {
  if (!CudnnGraph::can_fix_order()) return std::nullopt;
  const auto started = std::chrono::steady_clock::now();
  const CudnnConvolution& convolution = summed.convolution;
  std::vector<CudnnPlan> plans =
      make_plans(graph_with_sums(handle, convolution), {.compiled_at_run_time = true}, kMaxSumming);
  size_t workspace_bytes = summed.workspace_bytes;
  for (const CudnnPlan& plan : plans) workspace_bytes = std::max(workspace_bytes, plan.workspace_bytes());
  const auto run = [&](size_t engine, const std::vector<void*>& m) {
    summed.run(engine == 0 ? nullptr : &plans[engine - 1], {m[0], m[1], m[2], m[3], m[4], m[5]});
  };
  const EngineChoice choice{
      .operation = in_words(convolution) + " and batch norm statistics",
      .engines = 1 + plans.size(),
      .preparing_seconds = seconds_since(started),
      .bytes = {bytes_of(convolution, convolution.data), bytes_of(convolution, convolution.filters),
                bytes_of(convolution, convolution.result),
                2 * static_cast<size_t>(convolution.result[1]) * sizeof(float), workspace_bytes,
                summed.other_bytes},
      .run = run};
  const size_t place = choose_(choice);
  if (place == 0) return std::nullopt;
  return std::move(plans[place - 1]);
}

}  // namespace lockstep
