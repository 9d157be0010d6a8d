#include "src/device/libraries/cudnn_graph.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <utility>

#include "src/core/log.h"
#include "src/device/libraries/library_check.h"

namespace lockstep {

namespace {

using cudnn::attribute_type;
using cudnn::create;
using cudnn::refer;
using cudnn::set;

/// In bytes; what engines for tensor cores read at once.
constexpr int64_t kTensorAlignment = 16;

/// For operations without an axis of their own.
constexpr int64_t kNoAxis = -1;

/// Without gaps, the last axis fastest.
std::vector<int64_t> row_major(const std::vector<int64_t>& extents) {
  std::vector<int64_t> strides(extents.size(), 1);
  for (size_t axis = extents.size() - 1; axis > 0; --axis) strides[axis - 1] = strides[axis] * extents[axis];
  return strides;
}

/// The engines for a graph with their settings, the fastest first by cuDNN's estimate.
std::vector<CudnnDescriptor> configurations(const CudnnDescriptor& graph, cudnnBackendHeurMode_t mode) {
  const CudnnDescriptor heuristics = create(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  refer(heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph.get());
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

bool is_acceptable(const CudnnDescriptor& config, const CudnnEngineRules& rules) {
  const CudnnDescriptor engine = create(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  cudnnBackendDescriptor_t memory = engine.get();
  int64_t count = 0;
  CHECK(cudnnBackendGetAttribute(config.get(), CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
                                 &count, &memory));
  const auto has_numerical_note = [&](std::initializer_list<cudnnBackendNumericalNote_t> notes) {
    return has_note(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, notes);
  };
  if (!rules.tensor_cores && has_numerical_note({CUDNN_NUMERICAL_NOTE_TENSOR_CORE})) return false;
  if (!rules.compiled_at_run_time &&
      has_note(engine, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, {CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION}))
    return false;
  return !has_numerical_note({CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS,
                              CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION});
}

/// Finalizes a plan. An engine that cannot be compiled is left out, because NVRTC may be missing, and all
/// that runs such engines can do without them.
bool can_be_made(const CudnnDescriptor& plan, const CudnnEngineRules& rules) {
  const cudnnStatus_t status = cudnnBackendFinalize(plan.get());
  if (!rules.compiled_at_run_time || ok(status) ||
      CUDNN_STATUS_CATEGORY(status) == CUDNN_STATUS_NOT_SUPPORTED)
    return is_supported(status);
  log_warning("left out an engine of cuDNN that cannot be compiled: {}", describe(status));
  return false;
}

}  // namespace

bool is_supported(cudnnStatus_t status) {
  if (CUDNN_STATUS_CATEGORY(status) == CUDNN_STATUS_NOT_SUPPORTED) return false;
  CHECK(status);
  return true;
}

CudnnPlan::CudnnPlan(CudnnDescriptor config, CudnnDescriptor plan, size_t workspace_bytes)
    : config_(std::move(config)), plan_(std::move(plan)), workspace_bytes_(workspace_bytes) {}

void CudnnPlan::run(cudnnHandle_t handle, const std::vector<CudnnArgument>& arguments,
                    void* workspace) const {
  std::vector<int64_t> ids;
  // The attribute is an array of pointers to memory that may be written, whatever the plan does with it.
  std::vector<void*> pointers;
  for (const CudnnArgument& argument : arguments) {
    ids.push_back(argument.id);
    pointers.push_back(const_cast<void*>(argument.memory));
  }
  const CudnnDescriptor memory = create(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  set(memory, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, ids);
  set(memory, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, pointers);
  set(memory, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, workspace);
  CHECK(cudnnBackendFinalize(memory.get()));
  CHECK(cudnnBackendExecute(handle, plan_.get(), memory.get()));
}

CudnnGraph::Tensor CudnnGraph::describe_tensor(Kind kind, int64_t id, cudnnDataType_t type,
                                               const Extents& extents, const Extents& strides) {
  CudnnDescriptor descriptor = create(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  set(descriptor, CUDNN_ATTR_TENSOR_UNIQUE_ID, id);
  set(descriptor, CUDNN_ATTR_TENSOR_DATA_TYPE, type);
  set(descriptor, CUDNN_ATTR_TENSOR_DIMENSIONS, extents);
  set(descriptor, CUDNN_ATTR_TENSOR_STRIDES, strides);
  set(descriptor, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, kTensorAlignment);
  if (kind == Kind::between) set(descriptor, CUDNN_ATTR_TENSOR_IS_VIRTUAL, true);
  if (kind == Kind::number) set(descriptor, CUDNN_ATTR_TENSOR_IS_BY_VALUE, true);
  return keep(std::move(descriptor));
}

CudnnGraph::Tensor CudnnGraph::tensor(int64_t id, cudnnDataType_t type, const Extents& extents,
                                      const Extents& strides) {
  return describe_tensor(Kind::memory, id, type, extents, strides);
}

CudnnGraph::Tensor CudnnGraph::number(int64_t id, size_t axes) {
  return describe_tensor(Kind::number, id, CUDNN_DATA_FLOAT, Extents(axes, 1), Extents(axes, 1));
}

CudnnGraph::Tensor CudnnGraph::between(cudnnDataType_t type, const Extents& extents, const Extents& strides) {
  return describe_tensor(Kind::between, next_id_++, type, extents, strides);
}

CudnnGraph::Tensor CudnnGraph::between(cudnnDataType_t type, const Extents& extents) {
  return between(type, extents, row_major(extents));
}

CudnnGraph::Tensor CudnnGraph::multiply(Tensor a, Tensor b, Tensor c) {
  CudnnDescriptor how = create(CUDNN_BACKEND_MATMUL_DESCRIPTOR);
  set(how, CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_DATA_FLOAT);
  CudnnDescriptor operation = create(CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR);
  refer(operation, CUDNN_ATTR_OPERATION_MATMUL_ADESC, a);
  refer(operation, CUDNN_ATTR_OPERATION_MATMUL_BDESC, b);
  refer(operation, CUDNN_ATTR_OPERATION_MATMUL_CDESC, c);
  refer(operation, CUDNN_ATTR_OPERATION_MATMUL_DESC, keep(std::move(how)));
  add(std::move(operation));
  return c;
}

CudnnGraph::Tensor CudnnGraph::pointwise(cudnnPointwiseMode_t mode, int64_t axis, Tensor x, Tensor b,
                                         Tensor condition, Tensor y) {
  CudnnDescriptor how = create(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  set(how, CUDNN_ATTR_POINTWISE_MODE, mode);
  set(how, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT);
  if (axis != kNoAxis) set(how, CUDNN_ATTR_POINTWISE_AXIS, axis);
  CudnnDescriptor operation = create(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  refer(operation, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, keep(std::move(how)));
  refer(operation, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
  if (b != nullptr) refer(operation, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b);
  if (condition != nullptr) refer(operation, CUDNN_ATTR_OPERATION_POINTWISE_TDESC, condition);
  refer(operation, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
  add(std::move(operation));
  return y;
}

CudnnGraph::Tensor CudnnGraph::map(cudnnPointwiseMode_t mode, Tensor x, Tensor y) {
  return pointwise(mode, kNoAxis, x, nullptr, nullptr, y);
}

CudnnGraph::Tensor CudnnGraph::combine(cudnnPointwiseMode_t mode, Tensor x, Tensor b, Tensor y) {
  return pointwise(mode, kNoAxis, x, b, nullptr, y);
}

CudnnGraph::Tensor CudnnGraph::select(Tensor condition, Tensor x, Tensor otherwise, Tensor y) {
  return pointwise(CUDNN_POINTWISE_BINARY_SELECT, kNoAxis, x, otherwise, condition, y);
}

CudnnGraph::Tensor CudnnGraph::index(Tensor x, int64_t axis, Tensor y) {
  return pointwise(CUDNN_POINTWISE_GEN_INDEX, axis, x, nullptr, nullptr, y);
}

bool CudnnGraph::can_fix_order() { return CUDNN_VERSION >= 91100 && cudnnGetVersion() >= 91100; }

CudnnGraph::Tensor CudnnGraph::reduce(cudnnReduceTensorOp_t how, Tensor x, Tensor y, bool in_fixed_order) {
  CudnnDescriptor reduction = create(CUDNN_BACKEND_REDUCTION_DESCRIPTOR);
  set(reduction, CUDNN_ATTR_REDUCTION_OPERATOR, how);
  set(reduction, CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_DATA_FLOAT);
  INVARIANT(!in_fixed_order || can_fix_order(), "cuDNN {} cannot fix the order of a reduction",
            cudnnGetVersion());
#if CUDNN_VERSION >= 91100
  if (in_fixed_order) set(reduction, CUDNN_ATTR_REDUCTION_IS_DETERMINISTIC, true);
#endif
  CudnnDescriptor operation = create(CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR);
  refer(operation, CUDNN_ATTR_OPERATION_REDUCTION_XDESC, x);
  refer(operation, CUDNN_ATTR_OPERATION_REDUCTION_YDESC, y);
  refer(operation, CUDNN_ATTR_OPERATION_REDUCTION_DESC, keep(std::move(reduction)));
  add(std::move(operation));
  return y;
}

CudnnGraph::Tensor CudnnGraph::reshape(Tensor x, Tensor y) {
  CudnnDescriptor operation = create(CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR);
  refer(operation, CUDNN_ATTR_OPERATION_RESHAPE_XDESC, x);
  refer(operation, CUDNN_ATTR_OPERATION_RESHAPE_YDESC, y);
  add(std::move(operation));
  return y;
}

void CudnnGraph::add(CudnnDescriptor operation) { operations_.push_back(keep(std::move(operation))); }

cudnnBackendDescriptor_t CudnnGraph::keep(CudnnDescriptor description) {
  CHECK(cudnnBackendFinalize(description.get()));
  kept_.push_back(std::move(description));
  return kept_.back().get();
}

std::vector<CudnnPlan> make_plans(const CudnnGraph& graph, const CudnnEngineRules& rules, size_t max_count) {
  std::vector<CudnnPlan> plans;
  const CudnnDescriptor operations = create(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  set(operations, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, graph.handle());
  refer(operations, CUDNN_ATTR_OPERATIONGRAPH_OPS, graph.operations());
  if (!is_supported(cudnnBackendFinalize(operations.get()))) return plans;
  for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    if (plans.size() == max_count) break;
    for (CudnnDescriptor& config : configurations(operations, mode)) {
      if (!is_acceptable(config, rules)) continue;
      CudnnDescriptor plan = create(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
      set(plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, graph.handle());
      refer(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config.get());
      if (!can_be_made(plan, rules)) continue;
      const auto bytes = static_cast<size_t>(cudnn::integer(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE));
      if (bytes > kCudnnWorkspaceLimit) continue;
      plans.emplace_back(std::move(config), std::move(plan), bytes);
      if (plans.size() == max_count) break;
    }
  }
  return plans;
}

}  // namespace lockstep
