// cuDNN's backend API on the CPU: descriptors with attributes. Which values they refuse, and with which
// status, is what cuDNN 9.19 answers on a machine without a GPU, where these calls work. The engines are in
// cudnn_engines.cpp.
#include "tests/support/emulator/cudnn_backend.h"

#include <algorithm>

namespace emulator::cudnn {

Handles<cudnnBackendDescriptor_t, Descriptor> descriptors;

namespace {

/// An attribute that can be set.
struct Rule {
  cudnnBackendDescriptorType_t descriptor;
  cudnnBackendAttributeName_t name;
  cudnnBackendAttributeType_t type;
  int64_t max_count;
  bool required = true;
};

constexpr int64_t kMaxAxesOfTensor = 8;

#define EMULATOR_OPERATION(descriptor, prefix, x, w, y)              \
  {descriptor, prefix##CONV_DESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1}, \
      {descriptor, prefix##x, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1},     \
      {descriptor, prefix##w, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1},     \
      {descriptor, prefix##y, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1},     \
      {descriptor, prefix##ALPHA, CUDNN_TYPE_FLOAT, 1}, {            \
    descriptor, prefix##BETA, CUDNN_TYPE_FLOAT, 1                    \
  }

constexpr Rule kRules[] = {
    {CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1},
    {CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1},
    {CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, kMaxAxesOfTensor},
    {CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, kMaxAxesOfTensor},
    {CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1},
    {CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, false},
    {CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, 1, false},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, kMaxAxes},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, kMaxAxes},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, kMaxAxes},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, kMaxAxes},
    {CUDNN_BACKEND_POINTWISE_DESCRIPTOR, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1},
    {CUDNN_BACKEND_POINTWISE_DESCRIPTOR, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1},
    {CUDNN_BACKEND_POINTWISE_DESCRIPTOR, CUDNN_ATTR_POINTWISE_AXIS, CUDNN_TYPE_INT64, 1, false},
    {CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1},
    {CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, CUDNN_ATTR_OPERATION_POINTWISE_XDESC,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1},
    {CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, CUDNN_ATTR_OPERATION_POINTWISE_BDESC,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, false},
    {CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, CUDNN_ATTR_OPERATION_POINTWISE_TDESC,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, false},
    {CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, CUDNN_ATTR_OPERATION_POINTWISE_YDESC,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1},
    {CUDNN_BACKEND_MATMUL_DESCRIPTOR, CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1},
    {CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR, CUDNN_ATTR_OPERATION_MATMUL_ADESC,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1},
    {CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR, CUDNN_ATTR_OPERATION_MATMUL_BDESC,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1},
    {CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR, CUDNN_ATTR_OPERATION_MATMUL_CDESC,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1},
    {CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR, CUDNN_ATTR_OPERATION_MATMUL_DESC,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1},
    {CUDNN_BACKEND_REDUCTION_DESCRIPTOR, CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE,
     1},
    {CUDNN_BACKEND_REDUCTION_DESCRIPTOR, CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1},
    {CUDNN_BACKEND_REDUCTION_DESCRIPTOR, CUDNN_ATTR_REDUCTION_IS_DETERMINISTIC, CUDNN_TYPE_BOOLEAN, 1, false},
    {CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR, CUDNN_ATTR_OPERATION_REDUCTION_XDESC,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1},
    {CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR, CUDNN_ATTR_OPERATION_REDUCTION_YDESC,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1},
    {CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR, CUDNN_ATTR_OPERATION_REDUCTION_DESC,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1},
    {CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR, CUDNN_ATTR_OPERATION_RESHAPE_XDESC,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1},
    {CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR, CUDNN_ATTR_OPERATION_RESHAPE_YDESC,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1},
    EMULATOR_OPERATION(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
                       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_, X, W, Y),
    EMULATOR_OPERATION(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
                       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_, DX, W, DY),
    EMULATOR_OPERATION(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
                       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_, X, DW, DY),
    {CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1},
    {CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
     64},
    {CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1},
    {CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1},
    {CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1},
    {CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1},
    {CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, 16},
    {CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 16},
    {CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, false},
};

size_t bytes_of(cudnnBackendAttributeType_t type) {
  switch (type) {
    case CUDNN_TYPE_HANDLE:
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_BACKEND_DESCRIPTOR:
      return 8;
    case CUDNN_TYPE_BOOLEAN:
      return 1;
    default:
      return 4;
  }
}

bool all_at_least(const std::vector<int64_t>& values, int64_t least) {
  return std::all_of(values.begin(), values.end(), [=](int64_t value) { return value >= least; });
}

cudnnStatus_t finalize_tensor(const Descriptor& d) {
  const int64_t alignment = d[CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT].as<int64_t>();
  const auto type = d[CUDNN_ATTR_TENSOR_DATA_TYPE].as<cudnnDataType_t>();
  const int64_t element = type == CUDNN_DATA_DOUBLE ? 8 : type == CUDNN_DATA_FLOAT ? 4 : 2;
  const bool is_valid =
      d[CUDNN_ATTR_TENSOR_DIMENSIONS].values.size() == d[CUDNN_ATTR_TENSOR_STRIDES].values.size() &&
      alignment > 0 && alignment % element == 0;
  return is_valid ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_BAD_PARAM;
}

cudnnStatus_t finalize_convolution(const Descriptor& d) {
  const auto axes = d[CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS].as<uint64_t>();
  for (const auto& [name, least] :
       {std::pair(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, 0), std::pair(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, 0),
        std::pair(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, 1), std::pair(CUDNN_ATTR_CONVOLUTION_DILATIONS, 1)})
    if (d[name].values.size() != axes || !all_at_least(d[name].all<int64_t>(), least))
      return CUDNN_STATUS_BAD_PARAM;
  return CUDNN_STATUS_SUCCESS;
}

/// The values of the spatial axes, with `missing` for axes in front that are not there.
Numbers spatial(const std::vector<int64_t>& values, size_t skipped, int64_t missing) {
  Numbers result;
  result.fill(missing);
  std::copy(values.begin() + static_cast<int64_t>(skipped), values.end(),
            result.end() - static_cast<int64_t>(values.size() - skipped));
  return result;
}

struct OperationNames {
  cudnnBackendDescriptorType_t type;
  Direction direction;
  cudnnBackendAttributeName_t geometry, x, w, y, alpha, beta;
};

constexpr OperationNames kOperations[] = {
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, Direction::forward,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, Direction::data,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, Direction::filter,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA},
};

cudnnStatus_t finalize_operation(Descriptor& d, const OperationNames& names) {
  const Descriptor* const geometry = referred(d, names.geometry, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  if (geometry == nullptr || !geometry->is_finalized) return CUDNN_STATUS_BAD_PARAM;
  const Descriptor& g = *geometry;
  const auto axes = g[CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS].as<size_t>();
  Task task{.handle = nullptr,
            .program = nullptr,
            .convolves_first = false,
            .direction = names.direction,
            .problem = {},
            .is_dense = true,
            .alpha = d[names.alpha].as<float>(),
            .beta = d[names.beta].as<float>(),
            .ids = {},
            .alignments = {}};
  Tensor* const tensors[] = {&task.problem.x, &task.problem.w, &task.problem.y};
  const cudnnBackendAttributeName_t tensor_names[] = {names.x, names.w, names.y};
  for (size_t i = 0; i < 3; ++i) {
    const Descriptor* const t = referred(d, tensor_names[i], CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    if (t == nullptr || !t->is_finalized) return CUDNN_STATUS_BAD_PARAM;
    const auto extents = (*t)[CUDNN_ATTR_TENSOR_DIMENSIONS].all<int64_t>();
    if (extents.size() != axes + 2 || !all_at_least(extents, 1)) return CUDNN_STATUS_BAD_PARAM;
    Tensor& tensor = *tensors[i];
    tensor = {.is_set = true,
              .format = CUDNN_TENSOR_NHWC,
              .type = (*t)[CUDNN_ATTR_TENSOR_DATA_TYPE].as<cudnnDataType_t>(),
              .axes = static_cast<int>(axes),
              .n = extents[0],
              .c = extents[1],
              .extents = spatial(extents, 2, 1)};
    const Strides dense = tensor.strides();
    const auto strides = (*t)[CUDNN_ATTR_TENSOR_STRIDES].all<int64_t>();
    task.is_dense =
        task.is_dense && strides[0] == dense.n && strides[1] == dense.c &&
        std::equal(strides.begin() + 2, strides.end(), dense.axis.end() - static_cast<int64_t>(axes));
    task.ids[i] = (*t)[CUDNN_ATTR_TENSOR_UNIQUE_ID].as<int64_t>();
    task.alignments[i] = (*t)[CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT].as<int64_t>();
  }
  const auto& [x, w, y, unset] = task.problem;
  if (x.c % w.c != 0 || w.n % (x.c / w.c) != 0 || x.n != y.n || y.c != w.n) return CUDNN_STATUS_BAD_PARAM;
  const auto before = spatial(g[CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS].all<int64_t>(), 0, 0),
             behind = spatial(g[CUDNN_ATTR_CONVOLUTION_POST_PADDINGS].all<int64_t>(), 0, 0);
  Convolution& convolution = task.problem.convolution;
  convolution = {.is_set = true,
                 .axes = static_cast<int>(axes),
                 .padding = before,
                 .stride = spatial(g[CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES].all<int64_t>(), 0, 1),
                 .dilation = spatial(g[CUDNN_ATTR_CONVOLUTION_DILATIONS].all<int64_t>(), 0, 1),
                 .mode = g[CUDNN_ATTR_CONVOLUTION_CONV_MODE].as<cudnnConvolutionMode_t>(),
                 .compute = g[CUDNN_ATTR_CONVOLUTION_COMP_TYPE].as<cudnnDataType_t>(),
                 .groups = x.c / w.c};
  for (size_t axis = 0; axis < kMaxAxes; ++axis) {
    const int64_t room = x.extents[axis] + before[axis] + behind[axis] -
                         convolution.dilation[axis] * (w.extents[axis] - 1) - 1;
    if (room < 0 || y.extents[axis] != room / convolution.stride[axis] + 1) return CUDNN_STATUS_BAD_PARAM;
  }
  d.task = task;
  return CUDNN_STATUS_SUCCESS;
}

/// Whether the emulated engines compute these operations on the result of a convolution, as the real ones for
/// two bytes do: where it is forward, without groups, its channels are not odd ones, and nothing else is in
/// memory that they read.
bool is_epilogue(const Task& task, const Program& program) {
  const auto in_memory = program.in_memory();
  return task.direction == Direction::forward && task.problem.y.type != CUDNN_DATA_FLOAT &&
         task.problem.convolution.groups == 1 && task.problem.x.c % 4 == 0 && task.problem.y.c % 4 == 0 &&
         program.is_supported() && std::all_of(in_memory.begin(), in_memory.end(), [&](const auto& tensor) {
           return tensor.second != (tensor.first.id == task.ids[2]);
         });
}

/// One convolution, which operations on its result may follow, or small operations.
cudnnStatus_t finalize_graph(Descriptor& d) {
  const auto handles = d[CUDNN_ATTR_OPERATIONGRAPH_OPS].all<cudnnBackendDescriptor_t>();
  Program program;
  for (const cudnnBackendDescriptor_t handle : handles) {
    const Descriptor* const operation = descriptors.find(handle);
    if (operation == nullptr || !operation->is_finalized) return CUDNN_STATUS_BAD_PARAM;
    if (operation->task) d.task = operation->task;
    if (operation->operation) program.operations.push_back(*operation->operation);
  }
  if (d.task.has_value() + program.operations.size() != handles.size()) return CUDNN_STATUS_BAD_PARAM;
  if (handles.size() > 1 || !d.task) {
    if (!program.is_valid()) return CUDNN_STATUS_BAD_PARAM;
    if (d.task ? !is_epilogue(*d.task, program) : !program.is_supported()) return CUDNN_STATUS_NOT_SUPPORTED;
    if (d.task)
      d.task->convolves_first = true;
    else
      d.task = Task{};
    d.task->program = std::make_shared<const Program>(std::move(program));
  }
  d.task->handle = d[CUDNN_ATTR_OPERATIONGRAPH_HANDLE].as<cudnnHandle_t>();
  return contexts.find(d.task->handle) == nullptr ? CUDNN_STATUS_BAD_PARAM : CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t finalize_heuristics(Descriptor& d) {
  const Descriptor* const graph =
      referred(d, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  if (graph == nullptr || !graph->is_finalized) return CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED;
  d.task = graph->task;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t finalize_plan(Descriptor& d) {
  const Descriptor* const config =
      referred(d, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
  if (config == nullptr || !config->is_finalized) return CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED;
  if (d[CUDNN_ATTR_EXECUTION_PLAN_HANDLE].as<cudnnHandle_t>() != config->task->handle)
    return CUDNN_STATUS_BAD_PARAM;
  d.task = config->task;
  d.engine = config->engine;
  if (!d.engine->compiles) return CUDNN_STATUS_INTERNAL_ERROR_COMPILATION_FAILED;
  return d.engine->builds ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_SUPPORTED;
}

cudnnStatus_t finalize(Descriptor& d) {
  for (const Rule& rule : kRules)
    if (rule.descriptor == d.type && rule.required && d.attributes.count(rule.name) == 0)
      return d.type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR ? CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED
                                                               : CUDNN_STATUS_BAD_PARAM;
  switch (d.type) {
    case CUDNN_BACKEND_TENSOR_DESCRIPTOR:
      return finalize_tensor(d);
    case CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR:
      return finalize_convolution(d);
    case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR:
      return finalize_graph(d);
    case CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR:
      return finalize_heuristics(d);
    case CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR:
      return finalize_plan(d);
    case CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR:
      return d[CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS].values.size() ==
                     d[CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS].values.size()
                 ? CUDNN_STATUS_SUCCESS
                 : CUDNN_STATUS_BAD_PARAM;
    default:
      break;
  }
  for (const OperationNames& names : kOperations)
    if (names.type == d.type) return finalize_operation(d, names);
  return finalize_small_operation(d);
}

/// Writes as many of the values as there is room for; counts them all if there is none.
template <typename T>
cudnnStatus_t give(const std::vector<T>& values, int64_t capacity, int64_t* count, void* memory) {
  *count = static_cast<int64_t>(values.size());
  if (memory == nullptr) return CUDNN_STATUS_SUCCESS;
  *count = std::min(*count, capacity);
  std::copy_n(values.begin(), *count, static_cast<T*>(memory));
  return CUDNN_STATUS_SUCCESS;
}

/// Makes the caller's descriptors out of engines.
cudnnStatus_t give_engines(const Task& task, const std::vector<const Engine*>& engines,
                           cudnnBackendDescriptorType_t type, int64_t capacity, int64_t* count,
                           void* memory) {
  if (memory == nullptr) {
    *count = static_cast<int64_t>(engines.size());
    // As the real count, before the engines are asked what they support.
    if (type == CUDNN_BACKEND_ENGINECFG_DESCRIPTOR) *count += 3;
    return CUDNN_STATUS_SUCCESS;
  }
  *count = std::min(static_cast<int64_t>(engines.size()), capacity);
  for (int64_t i = 0; i < *count; ++i) {
    Descriptor* const target = descriptors.find(static_cast<cudnnBackendDescriptor_t*>(memory)[i]);
    if (target == nullptr || target->type != type) return CUDNN_STATUS_BAD_PARAM;
    target->is_finalized = true;
    target->task = task;
    target->engine = engines[static_cast<size_t>(i)];
  }
  return CUDNN_STATUS_SUCCESS;
}

}  // namespace

/// The descriptor that an attribute refers to; null if it is not of the type.
Descriptor* referred(const Descriptor& from, cudnnBackendAttributeName_t name,
                     cudnnBackendDescriptorType_t type) {
  Descriptor* const found = descriptors.find(from[name].as<cudnnBackendDescriptor_t>());
  return found != nullptr && found->type == type ? found : nullptr;
}

}  // namespace emulator::cudnn

using namespace emulator::cudnn;

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                           cudnnBackendDescriptor_t* descriptor) {
  if (descriptor == nullptr) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
  *descriptor = descriptors.add({.type = type, .attributes = {}, .task = {}, .operation = {}});
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor) {
  if (descriptor == nullptr) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
  return descriptors.remove(descriptor) ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_BAD_PARAM;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count, const void* values) {
  Descriptor* const d = descriptors.find(descriptor);
  if (d == nullptr || d->is_finalized) return CUDNN_STATUS_BAD_PARAM;
  for (const Rule& rule : kRules) {
    if (rule.descriptor != d->type || rule.name != name) continue;
    if (type != rule.type) return CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE;
    if (count < 1 || count > rule.max_count || values == nullptr) return CUDNN_STATUS_BAD_PARAM;
    Attribute attribute{bytes_of(type), std::vector<uint64_t>(static_cast<size_t>(count))};
    for (size_t i = 0; i < attribute.values.size(); ++i)
      std::memcpy(&attribute.values[i], static_cast<const char*>(values) + i * attribute.value_bytes,
                  attribute.value_bytes);
    d->attributes[name] = std::move(attribute);
    return CUDNN_STATUS_SUCCESS;
  }
  return CUDNN_STATUS_BAD_PARAM;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor) {
  Descriptor* const d = descriptors.find(descriptor);
  if (d == nullptr || d->is_finalized) return CUDNN_STATUS_BAD_PARAM;
  const cudnnStatus_t status = finalize(*d);
  d->is_finalized = status == CUDNN_STATUS_SUCCESS;
  return status;
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t capacity, int64_t* count,
                                       void* values) {
  const Descriptor* const d = descriptors.find(descriptor);
  if (d == nullptr || count == nullptr) return CUDNN_STATUS_BAD_PARAM;
  if (!d->is_finalized) return CUDNN_STATUS_NOT_INITIALIZED;
  const auto is = [&](cudnnBackendDescriptorType_t wanted, cudnnBackendAttributeName_t wanted_name,
                      cudnnBackendAttributeType_t wanted_type) {
    return d->type == wanted && name == wanted_name && type == wanted_type;
  };
  if (is(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR)) {
    const auto mode = (*d)[CUDNN_ATTR_ENGINEHEUR_MODE].as<cudnnBackendHeurMode_t>();
    return give_engines(*d->task, engines_for(*d->task, mode), CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, capacity,
                        count, values);
  }
  if (is(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR))
    return give_engines(*d->task, {d->engine}, CUDNN_BACKEND_ENGINE_DESCRIPTOR, capacity, count, values);
  if (is(CUDNN_BACKEND_ENGINE_DESCRIPTOR, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE))
    return give(d->engine->notes, capacity, count, values);
  if (is(CUDNN_BACKEND_ENGINE_DESCRIPTOR, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE))
    return give(d->engine->behavior, capacity, count, values);
  if (is(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64))
    return give(std::vector<int64_t>{static_cast<int64_t>(d->engine->workspace_bytes)}, capacity, count,
                values);
  return CUDNN_STATUS_NOT_SUPPORTED;
}
