#include "src/device/libraries/cudnn_plan.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <utility>

#include "src/device/libraries/library_check.h"

namespace lockstep {

namespace {

using Direction = CudnnConvolution::Direction;

/// In bytes; what engines for tensor cores read at once.
constexpr int64_t kTensorAlignment = 16;

/// How a graph and the memory for it name its tensors.
enum TensorId : int64_t { kData = 1, kFilters, kResult };

// The type that cuDNN gives an attribute follows from that of its values.
constexpr cudnnBackendAttributeType_t attribute_type(const int64_t*) { return CUDNN_TYPE_INT64; }
constexpr cudnnBackendAttributeType_t attribute_type(const float*) { return CUDNN_TYPE_FLOAT; }
constexpr cudnnBackendAttributeType_t attribute_type(const cudnnHandle_t*) { return CUDNN_TYPE_HANDLE; }
constexpr cudnnBackendAttributeType_t attribute_type(const cudnnDataType_t*) { return CUDNN_TYPE_DATA_TYPE; }
constexpr cudnnBackendAttributeType_t attribute_type(const cudnnConvolutionMode_t*) {
  return CUDNN_TYPE_CONVOLUTION_MODE;
}
constexpr cudnnBackendAttributeType_t attribute_type(const cudnnBackendHeurMode_t*) {
  return CUDNN_TYPE_HEUR_MODE;
}
constexpr cudnnBackendAttributeType_t attribute_type(const cudnnBackendNumericalNote_t*) {
  return CUDNN_TYPE_NUMERICAL_NOTE;
}
constexpr cudnnBackendAttributeType_t attribute_type(const cudnnBackendBehaviorNote_t*) {
  return CUDNN_TYPE_BEHAVIOR_NOTE;
}
constexpr cudnnBackendAttributeType_t attribute_type(void* const*) { return CUDNN_TYPE_VOID_PTR; }

CudnnDescriptor create(cudnnBackendDescriptorType_t type) {
  CudnnDescriptor descriptor;
  CHECK(cudnnBackendCreateDescriptor(type, descriptor.out()));
  return descriptor;
}

template <typename T>
void set(const CudnnDescriptor& descriptor, cudnnBackendAttributeName_t name, const std::vector<T>& values) {
  CHECK(cudnnBackendSetAttribute(descriptor.get(), name, attribute_type(values.data()),
                                 static_cast<int64_t>(values.size()), values.data()));
}
template <typename T>
void set(const CudnnDescriptor& descriptor, cudnnBackendAttributeName_t name, const T& value) {
  CHECK(cudnnBackendSetAttribute(descriptor.get(), name, attribute_type(&value), 1, &value));
}
void set(const CudnnDescriptor& descriptor, cudnnBackendAttributeName_t name, const CudnnDescriptor& value) {
  const cudnnBackendDescriptor_t other = value.get();
  CHECK(cudnnBackendSetAttribute(descriptor.get(), name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &other));
}

int64_t integer(const CudnnDescriptor& descriptor, cudnnBackendAttributeName_t name) {
  int64_t count = 0, value = 0;
  CHECK(cudnnBackendGetAttribute(descriptor.get(), name, CUDNN_TYPE_INT64, 1, &count, &value));
  return value;
}

/// Channels-last strides; extents are of the samples, the channels and the axes.
std::vector<int64_t> strides(const std::vector<int64_t>& extents) {
  std::vector<int64_t> result(extents.size(), 1);
  int64_t step = extents[1];
  for (size_t axis = extents.size() - 1; axis >= 2; --axis) {
    result[axis] = step;
    step *= extents[axis];
  }
  result[0] = step;
  return result;
}

CudnnDescriptor tensor(TensorId id, cudnnDataType_t type, const std::vector<int64_t>& extents) {
  CudnnDescriptor descriptor = create(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  set(descriptor, CUDNN_ATTR_TENSOR_UNIQUE_ID, int64_t{id});
  set(descriptor, CUDNN_ATTR_TENSOR_DATA_TYPE, type);
  set(descriptor, CUDNN_ATTR_TENSOR_DIMENSIONS, extents);
  set(descriptor, CUDNN_ATTR_TENSOR_STRIDES, strides(extents));
  set(descriptor, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, kTensorAlignment);
  CHECK(cudnnBackendFinalize(descriptor.get()));
  return descriptor;
}

CudnnDescriptor geometry(const CudnnConvolution& convolution) {
  CudnnDescriptor descriptor = create(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  set(descriptor, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, static_cast<int64_t>(convolution.stride.size()));
  set(descriptor, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT);
  set(descriptor, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_CROSS_CORRELATION);
  set(descriptor, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, convolution.pad_before);
  set(descriptor, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, convolution.pad_after);
  set(descriptor, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, convolution.stride);
  set(descriptor, CUDNN_ATTR_CONVOLUTION_DILATIONS, convolution.dilation);
  CHECK(cudnnBackendFinalize(descriptor.get()));
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

/// A graph of one operation, with the descriptors that it refers to.
struct Graph {
  Graph(cudnnHandle_t handle, const CudnnConvolution& convolution)
      : data(tensor(kData, convolution.type, convolution.data)),
        filters(tensor(kFilters, convolution.type, convolution.filters)),
        result(tensor(kResult, convolution.type, convolution.result)),
        convolved(geometry(convolution)) {
    const Operation names = operation_of(convolution.direction);
    operation = create(names.type);
    set(operation, names.geometry, convolved);
    set(operation, names.data, data);
    set(operation, names.filters, filters);
    set(operation, names.result, result);
    set(operation, names.alpha, 1.0f);
    set(operation, names.beta, convolution.adds ? 1.0f : 0.0f);
    CHECK(cudnnBackendFinalize(operation.get()));
    graph = create(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    set(graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, handle);
    set(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, operation);
  }

  CudnnDescriptor data, filters, result, convolved, operation, graph;
};

/// The engines for a graph with their settings, the fastest first by cuDNN's estimate.
std::vector<CudnnDescriptor> configurations(const CudnnDescriptor& graph, cudnnBackendHeurMode_t mode) {
  const CudnnDescriptor heuristics = create(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  set(heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
  set(heuristics, CUDNN_ATTR_ENGINEHEUR_MODE, mode);
  if (!is_supported(cudnnBackendFinalize(heuristics.get()))) return {};
  // Without memory for results, the count is an upper bound.
  int64_t count = 0;
  const auto results = [&](int64_t capacity, cudnnBackendDescriptor_t* memory) {
    return cudnnBackendGetAttribute(heuristics.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                    CUDNN_TYPE_BACKEND_DESCRIPTOR, capacity, &count, memory);
  };
  if (!is_supported(results(0, nullptr)) || count == 0) return {};
  std::vector<CudnnDescriptor> configs;
  std::vector<cudnnBackendDescriptor_t> memory;
  for (int64_t i = 0; i < count; ++i) {
    configs.push_back(create(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR));
    memory.push_back(configs.back().get());
  }
  if (!is_supported(results(count, memory.data()))) return {};
  configs.resize(static_cast<size_t>(count));
  return configs;
}

template <typename Note>
bool has_note(const CudnnDescriptor& engine, cudnnBackendAttributeName_t name,
              std::initializer_list<Note> wanted) {
  std::array<Note, 64> notes{};
  int64_t count = 0;
  CHECK(cudnnBackendGetAttribute(engine.get(), name, attribute_type(notes.data()), notes.size(), &count,
                                 notes.data()));
  return std::find_first_of(notes.begin(), notes.begin() + count, wanted.begin(), wanted.end()) !=
         notes.begin() + count;
}

bool is_acceptable(const CudnnDescriptor& config, const CudnnConvolution& convolution) {
  const CudnnDescriptor engine = create(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  cudnnBackendDescriptor_t memory = engine.get();
  int64_t count = 0;
  CHECK(cudnnBackendGetAttribute(config.get(), CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
                                 &count, &memory));
  const auto has_numerical_note = [&](std::initializer_list<cudnnBackendNumericalNote_t> notes) {
    return has_note(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, notes);
  };
  // Tensor cores multiply floats as TF32.
  if (convolution.type == CUDNN_DATA_FLOAT && !convolution.tf32 &&
      has_numerical_note({CUDNN_NUMERICAL_NOTE_TENSOR_CORE}))
    return false;
  return !has_numerical_note({CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS,
                              CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION}) &&
         !has_note(engine, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, {CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION});
}

/// The plans of the first `max_count` engines that may be chosen, in the order of cuDNN's heuristics.
std::vector<CudnnPlan> make_plans(cudnnHandle_t handle, const CudnnConvolution& convolution,
                                  size_t max_count) {
  std::vector<CudnnPlan> plans;
  const Graph graph(handle, convolution);
  if (!is_supported(cudnnBackendFinalize(graph.graph.get()))) return plans;
  for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    if (plans.size() == max_count) break;
    for (CudnnDescriptor& config : configurations(graph.graph, mode)) {
      if (!is_acceptable(config, convolution)) continue;
      CudnnDescriptor plan = create(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
      set(plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, handle);
      set(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
      if (!is_supported(cudnnBackendFinalize(plan.get()))) continue;
      const auto bytes = static_cast<size_t>(integer(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE));
      if (bytes > kCudnnWorkspaceLimit) continue;
      plans.emplace_back(std::move(config), std::move(plan), bytes);
      if (plans.size() == max_count) break;
    }
  }
  return plans;
}

}  // namespace

bool is_supported(cudnnStatus_t status) {
  if (CUDNN_STATUS_CATEGORY(status) == CUDNN_STATUS_NOT_SUPPORTED) return false;
  CHECK(status);
  return true;
}

CudnnPlan::CudnnPlan(CudnnDescriptor config, CudnnDescriptor plan, size_t workspace_bytes)
    : config_(std::move(config)), plan_(std::move(plan)), workspace_bytes_(workspace_bytes) {}

void CudnnPlan::run(cudnnHandle_t handle, const void* data, const void* filters, const void* result,
                    void* workspace) const {
  const CudnnDescriptor memory = create(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  set(memory, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, std::vector<int64_t>{kData, kFilters, kResult});
  // The attribute is an array of pointers to memory that may be written, whatever the plan does with it.
  set(memory, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS,
      std::vector<void*>{const_cast<void*>(data), const_cast<void*>(filters), const_cast<void*>(result)});
  set(memory, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, workspace);
  CHECK(cudnnBackendFinalize(memory.get()));
  CHECK(cudnnBackendExecute(handle, plan_.get(), memory.get()));
}

const CudnnPlan* CudnnPlans::find(cudnnHandle_t handle, const CudnnConvolution& convolution) {
  auto found = plans_.find(convolution);
  if (found == plans_.end()) found = plans_.emplace(convolution, make(handle, convolution)).first;
  return found->second ? &*found->second : nullptr;
}

std::optional<CudnnPlan> CudnnPlans::make(cudnnHandle_t handle, const CudnnConvolution& convolution) const {
  std::vector<CudnnPlan> plans = make_plans(handle, convolution, choose_ ? kMaxChoices : 1);
  if (plans.empty()) return std::nullopt;
  return std::move(plans[choose_ ? choose_(convolution, plans) : 0]);
}

}  // namespace lockstep
