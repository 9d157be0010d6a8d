// cuBLASLt, loaded on the first call. Linking it in the usual way costs 0.3 s and 210 MB at every start of
// the program, for 360,000 relocations, even without a GPU. Therefore the functions of its header that are
// used here are defined below, and forward their arguments.
#include <cublasLt.h>
#include <dlfcn.h>

#include "src/core/error.h"

namespace {

#define LOCKSTEP_STRING_(x) #x
#define LOCKSTEP_STRING(x) LOCKSTEP_STRING_(x)

void* library() {
  static void* const handle = [] {
    const char* const name = "libcublasLt.so." LOCKSTEP_STRING(CUBLAS_VER_MAJOR);
    void* loaded = dlopen(name, RTLD_LAZY | RTLD_LOCAL);
    if (loaded == nullptr) loaded = dlopen(LOCKSTEP_CUBLASLT_LIBRARY, RTLD_LAZY | RTLD_LOCAL);
    if (loaded == nullptr)
      lockstep::fail(
          lockstep::ExitCode::usage,
          "cannot load {}: {}. Install cuBLAS {} of the CUDA Toolkit or add its folder to LD_LIBRARY_PATH; "
          "run.device = \"cpu\" does without it.",
          name, dlerror(), CUBLAS_VER_MAJOR);
    return loaded;
  }();
  return handle;
}

void* symbol(const char* name) {
  void* const found = dlsym(library(), name);
  if (found == nullptr)
    lockstep::fail(lockstep::ExitCode::usage, "the installed cuBLAS has no {}: it is too old.", name);
  return found;
}

}  // namespace

/// Defines a function of the header; `parameters` and `arguments` are in parentheses.
#define LOCKSTEP_FORWARD(result, name, parameters, arguments)                        \
  result name parameters {                                                           \
    static const auto function = reinterpret_cast<decltype(&::name)>(symbol(#name)); \
    return function arguments;                                                       \
  }

LOCKSTEP_FORWARD(size_t, cublasLtGetVersion, (void), ())
LOCKSTEP_FORWARD(const char*, cublasLtGetStatusString, (cublasStatus_t status), (status))
LOCKSTEP_FORWARD(cublasStatus_t, cublasLtCreate, (cublasLtHandle_t * handle), (handle))
LOCKSTEP_FORWARD(cublasStatus_t, cublasLtDestroy, (cublasLtHandle_t handle), (handle))
LOCKSTEP_FORWARD(cublasStatus_t, cublasLtMatmulDescCreate,
                 (cublasLtMatmulDesc_t * descriptor, cublasComputeType_t compute, cudaDataType_t scale),
                 (descriptor, compute, scale))
LOCKSTEP_FORWARD(cublasStatus_t, cublasLtMatmulDescDestroy, (cublasLtMatmulDesc_t descriptor), (descriptor))
LOCKSTEP_FORWARD(cublasStatus_t, cublasLtMatmulDescSetAttribute,
                 (cublasLtMatmulDesc_t descriptor, cublasLtMatmulDescAttributes_t attribute,
                  const void* value, size_t bytes),
                 (descriptor, attribute, value, bytes))
LOCKSTEP_FORWARD(cublasStatus_t, cublasLtMatrixLayoutCreate,
                 (cublasLtMatrixLayout_t * layout, cudaDataType type, uint64_t rows, uint64_t columns,
                  int64_t leading),
                 (layout, type, rows, columns, leading))
LOCKSTEP_FORWARD(cublasStatus_t, cublasLtMatrixLayoutDestroy, (cublasLtMatrixLayout_t layout), (layout))
LOCKSTEP_FORWARD(cublasStatus_t, cublasLtMatmulPreferenceCreate, (cublasLtMatmulPreference_t * preference),
                 (preference))
LOCKSTEP_FORWARD(cublasStatus_t, cublasLtMatmulPreferenceDestroy, (cublasLtMatmulPreference_t preference),
                 (preference))
LOCKSTEP_FORWARD(cublasStatus_t, cublasLtMatmulPreferenceSetAttribute,
                 (cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute,
                  const void* value, size_t bytes),
                 (preference, attribute, value, bytes))
LOCKSTEP_FORWARD(cublasStatus_t, cublasLtMatmulAlgoGetHeuristic,
                 (cublasLtHandle_t handle, cublasLtMatmulDesc_t operation, cublasLtMatrixLayout_t a,
                  cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                  cublasLtMatmulPreference_t preference, int wanted,
                  cublasLtMatmulHeuristicResult_t results[], int* found),
                 (handle, operation, a, b, c, d, preference, wanted, results, found))
LOCKSTEP_FORWARD(cublasStatus_t, cublasLtMatmulAlgoConfigGetAttribute,
                 (const cublasLtMatmulAlgo_t* algorithm, cublasLtMatmulAlgoConfigAttributes_t attribute,
                  void* value, size_t bytes, size_t* written),
                 (algorithm, attribute, value, bytes, written))
LOCKSTEP_FORWARD(cublasStatus_t, cublasLtMatmul,
                 (cublasLtHandle_t handle, cublasLtMatmulDesc_t operation, const void* alpha, const void* a,
                  cublasLtMatrixLayout_t a_layout, const void* b, cublasLtMatrixLayout_t b_layout,
                  const void* beta, const void* c, cublasLtMatrixLayout_t c_layout, void* d,
                  cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t* algorithm, void* workspace,
                  size_t bytes, cudaStream_t stream),
                 (handle, operation, alpha, a, a_layout, b, b_layout, beta, c, c_layout, d, d_layout,
                  algorithm, workspace, bytes, stream))
