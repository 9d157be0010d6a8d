// The descriptors of the small operations of the emulated cuDNN's graphs.
#include "tests/support/emulator/cudnn_backend.h"

namespace emulator::cudnn {

namespace {

/// The tensor that an attribute refers to; nothing if it is not a finalized one.
std::optional<GraphTensor> tensor_of(const Descriptor& from, cudnnBackendAttributeName_t name) {
  const Descriptor* const t = referred(from, name, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  if (t == nullptr || !t->is_finalized) return std::nullopt;
  const auto is = [&](cudnnBackendAttributeName_t flag) {
    return t->attributes.count(flag) == 1 && (*t)[flag].as<bool>();
  };
  return GraphTensor{.id = (*t)[CUDNN_ATTR_TENSOR_UNIQUE_ID].as<int64_t>(),
                     .place = is(CUDNN_ATTR_TENSOR_IS_VIRTUAL)    ? GraphTensor::Place::between
                              : is(CUDNN_ATTR_TENSOR_IS_BY_VALUE) ? GraphTensor::Place::number
                                                                  : GraphTensor::Place::memory,
                     .type = (*t)[CUDNN_ATTR_TENSOR_DATA_TYPE].as<cudnnDataType_t>(),
                     .extents = (*t)[CUDNN_ATTR_TENSOR_DIMENSIONS].all<int64_t>(),
                     .strides = (*t)[CUDNN_ATTR_TENSOR_STRIDES].all<int64_t>(),
                     .alignment = (*t)[CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT].as<int64_t>()};
}

/// Sets the tensors of an operation; inputs that are not given are left out.
cudnnStatus_t finalize_with(Descriptor& d, Operation operation,
                            std::initializer_list<cudnnBackendAttributeName_t> inputs,
                            cudnnBackendAttributeName_t output) {
  for (const cudnnBackendAttributeName_t name : inputs) {
    if (d.attributes.count(name) == 0) continue;
    const auto tensor = tensor_of(d, name);
    if (!tensor) return CUDNN_STATUS_BAD_PARAM;
    operation.inputs.push_back(*tensor);
  }
  const auto tensor = tensor_of(d, output);
  if (!tensor) return CUDNN_STATUS_BAD_PARAM;
  operation.output = *tensor;
  d.operation = std::move(operation);
  return CUDNN_STATUS_SUCCESS;
}

bool is_float(const Descriptor& d, cudnnBackendAttributeName_t name) {
  return d[name].as<cudnnDataType_t>() == CUDNN_DATA_FLOAT;
}

cudnnStatus_t finalize_pointwise(Descriptor& d) {
  const Descriptor* const how =
      referred(d, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  if (how == nullptr || !how->is_finalized) return CUDNN_STATUS_BAD_PARAM;
  Operation operation{.kind = Operation::Kind::pointwise,
                      .mode = (*how)[CUDNN_ATTR_POINTWISE_MODE].as<cudnnPointwiseMode_t>(),
                      .computes_in_float = is_float(*how, CUDNN_ATTR_POINTWISE_MATH_PREC),
                      .inputs = {},
                      .output = {}};
  if (const auto axis = how->attributes.find(CUDNN_ATTR_POINTWISE_AXIS); axis != how->attributes.end())
    operation.axis = axis->second.as<int64_t>();
  return finalize_with(d, std::move(operation),
                       {CUDNN_ATTR_OPERATION_POINTWISE_XDESC, CUDNN_ATTR_OPERATION_POINTWISE_BDESC,
                        CUDNN_ATTR_OPERATION_POINTWISE_TDESC},
                       CUDNN_ATTR_OPERATION_POINTWISE_YDESC);
}

cudnnStatus_t finalize_matmul(Descriptor& d) {
  const Descriptor* const how =
      referred(d, CUDNN_ATTR_OPERATION_MATMUL_DESC, CUDNN_BACKEND_MATMUL_DESCRIPTOR);
  if (how == nullptr || !how->is_finalized) return CUDNN_STATUS_BAD_PARAM;
  return finalize_with(d,
                       {.kind = Operation::Kind::multiply,
                        .computes_in_float = is_float(*how, CUDNN_ATTR_MATMUL_COMP_TYPE),
                        .inputs = {},
                        .output = {}},
                       {CUDNN_ATTR_OPERATION_MATMUL_ADESC, CUDNN_ATTR_OPERATION_MATMUL_BDESC},
                       CUDNN_ATTR_OPERATION_MATMUL_CDESC);
}

cudnnStatus_t finalize_reduction(Descriptor& d) {
  const Descriptor* const how =
      referred(d, CUDNN_ATTR_OPERATION_REDUCTION_DESC, CUDNN_BACKEND_REDUCTION_DESCRIPTOR);
  if (how == nullptr || !how->is_finalized) return CUDNN_STATUS_BAD_PARAM;
  const auto order = how->attributes.find(CUDNN_ATTR_REDUCTION_IS_DETERMINISTIC);
  return finalize_with(d,
                       {.kind = Operation::Kind::reduce,
                        .reduction = (*how)[CUDNN_ATTR_REDUCTION_OPERATOR].as<cudnnReduceTensorOp_t>(),
                        .in_fixed_order = order != how->attributes.end() && order->second.as<bool>(),
                        .computes_in_float = is_float(*how, CUDNN_ATTR_REDUCTION_COMP_TYPE),
                        .inputs = {},
                        .output = {}},
                       {CUDNN_ATTR_OPERATION_REDUCTION_XDESC}, CUDNN_ATTR_OPERATION_REDUCTION_YDESC);
}

}  // namespace

cudnnStatus_t finalize_small_operation(Descriptor& d) {
  switch (d.type) {
    case CUDNN_BACKEND_POINTWISE_DESCRIPTOR:
    case CUDNN_BACKEND_MATMUL_DESCRIPTOR:
    case CUDNN_BACKEND_REDUCTION_DESCRIPTOR:
      return CUDNN_STATUS_SUCCESS;
    case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR:
      return finalize_pointwise(d);
    case CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR:
      return finalize_matmul(d);
    case CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR:
      return finalize_reduction(d);
    case CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR:
      return finalize_with(d, {.kind = Operation::Kind::reshape, .inputs = {}, .output = {}},
                           {CUDNN_ATTR_OPERATION_RESHAPE_XDESC}, CUDNN_ATTR_OPERATION_RESHAPE_YDESC);
    default:
      return CUDNN_STATUS_NOT_SUPPORTED;  // the heuristics alone make engines here
  }
}

}  // namespace emulator::cudnn
