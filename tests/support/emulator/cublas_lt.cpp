// cuBLASLt's handles and descriptors on the CPU. As the real library does, they take any value of the right
// size; what goes together is checked where it is used, in cublas_lt_matmul.cpp.
#include "tests/support/emulator/cublas_lt_descriptors.h"

#include <bit>

namespace emulator::cublas_lt {

Handles<cublasLtHandle_t, Context> contexts;
Handles<cublasLtMatmulDesc_t, Operation> operations;
Handles<cublasLtMatrixLayout_t, Layout> layouts;
Handles<cublasLtMatmulPreference_t, Preference> preferences;

namespace {

cublasStatus_t valid(bool is_valid) { return is_valid ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE; }

/// Creates where there is a place for the handle.
template <typename Handle, typename Object>
cublasStatus_t create(Handles<Handle, Object>& handles, Handle* handle, Object object) {
  if (handle == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  *handle = handles.add(std::move(object));
  return CUBLAS_STATUS_SUCCESS;
}
/// A null handle is none, and no error to the real library; one that was destroyed before is an error only
/// here.
template <typename Handle, typename Object>
cublasStatus_t destroy(Handles<Handle, Object>& handles, Handle handle) {
  return valid(handle == nullptr || handles.remove(handle));
}

}  // namespace

}  // namespace emulator::cublas_lt

using namespace emulator::cublas_lt;

size_t cublasLtGetVersion(void) { return CUBLAS_VERSION; }

const char* cublasLtGetStatusString(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "success";
    case CUBLAS_STATUS_NOT_INITIALIZED:
      return "the library was not initialized";
    case CUBLAS_STATUS_ALLOC_FAILED:
      return "the resource allocation failed";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "an unsupported value or parameter was passed to the function";
    case CUBLAS_STATUS_EXECUTION_FAILED:
      return "the function failed to launch on the GPU";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "the requested functionality is not supported";
  }
  return "unrecognized status";
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  if (!emulator::can_initialize()) return CUBLAS_STATUS_NOT_INITIALIZED;
  return create(contexts, handle, {});
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  return contexts.remove(handle) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_INITIALIZED;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* operation, cublasComputeType_t compute,
                                        cudaDataType_t scale) {
  return create(operations, operation, {compute, scale});
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t operation) {
  return destroy(operations, operation);
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t handle,
                                              cublasLtMatmulDescAttributes_t attribute, const void* value,
                                              size_t bytes) {
  Operation* operation = operations.find(handle);
  if (operation == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
      return valid(read(&operation->transpose_a, value, bytes));
    case CUBLASLT_MATMUL_DESC_TRANSB:
      return valid(read(&operation->transpose_b, value, bytes));
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      return valid(read(&operation->epilogue, value, bytes));
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
      return valid(read(&operation->bias, value, bytes));
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER:
      return valid(read(&operation->aux, value, bytes));
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD:
      return valid(read(&operation->aux_leading, value, bytes));
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE:
      operation->bias_type.emplace();
      return valid(read(&*operation->bias_type, value, bytes));
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType type, uint64_t rows,
                                          uint64_t columns, int64_t leading) {
  return create(layouts, layout, {type, rows, columns, leading});
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) { return destroy(layouts, layout); }

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  return create(preferences, preference, {});
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  return destroy(preferences, preference);
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t handle,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void* value, size_t bytes) {
  Preference* preference = preferences.find(handle);
  if (preference == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  switch (attribute) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
      return valid(read(&preference->workspace_bytes, value, bytes));
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
      return valid(read(&preference->reductions, value, bytes));
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES: {
      uint32_t alignment = 0;
      if (!read(&alignment, value, bytes) || !std::has_single_bit(alignment))
        return CUBLAS_STATUS_INVALID_VALUE;
      preference->alignment.at(static_cast<size_t>(attribute - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES)) =
          alignment;
      return CUBLAS_STATUS_SUCCESS;
    }
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}
