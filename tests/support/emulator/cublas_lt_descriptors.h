#pragma once

// What is behind the descriptors of the emulated cuBLASLt.
#include <cublasLt.h>

#include <array>
#include <cstring>
#include <optional>

#include "tests/support/emulator/element.h"
#include "tests/support/emulator/library.h"

namespace emulator::cublas_lt {

struct Operation {
  cublasComputeType_t compute;
  cudaDataType_t scale;
  int32_t transpose_a = CUBLAS_OP_N, transpose_b = CUBLAS_OP_N;
  uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  const void* bias = nullptr;
  std::optional<cudaDataType_t> bias_type = std::nullopt;  ///< by default that of D
  void* aux = nullptr;
  int64_t aux_leading = 0;

  bool has_bias() const {
    return epilogue == CUBLASLT_EPILOGUE_BIAS || epilogue == CUBLASLT_EPILOGUE_GELU_AUX_BIAS;
  }
  bool has_gelu() const {
    return epilogue == CUBLASLT_EPILOGUE_GELU_AUX || epilogue == CUBLASLT_EPILOGUE_GELU_AUX_BIAS;
  }
};
struct Layout {
  cudaDataType type;
  uint64_t rows, columns;
  int64_t leading;

  size_t bytes() const { return ((columns - 1) * static_cast<size_t>(leading) + rows) * size_of(type); }
};
struct Preference {
  uint64_t workspace_bytes = 0;
  uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_MASK;
  std::array<uint32_t, 4> alignment = {256, 256, 256, 256};  ///< of A, B, C, D
};
struct Context {};

extern Handles<cublasLtHandle_t, Context> contexts;
extern Handles<cublasLtMatmulDesc_t, Operation> operations;
extern Handles<cublasLtMatrixLayout_t, Layout> layouts;
extern Handles<cublasLtMatmulPreference_t, Preference> preferences;

/// False where there is no value, or one of another size than the attribute's.
template <typename T>
bool read(T* destination, const void* value, size_t bytes) {
  if (value == nullptr || bytes != sizeof(T)) return false;
  std::memcpy(destination, value, bytes);
  return true;
}

}  // namespace emulator::cublas_lt
