#include "src/device/kernels/launch.h"

#include "src/device/elementwise_kernels.h"

namespace lockstep {

namespace {

/// The switch: false makes every kernel start when the one before it has finished.
constexpr bool kStartsEarly = true;

struct Itself {
  __device__ float operator()(float value) const { return value; }
};

/// Whether wait_for_previous_kernel() waits in the code that this GPU runs, which one kernel tells for all.
/// The driver may have compiled it from that for an earlier GPU, where it does not.
bool kernels_wait() {
  static const bool answer = [] {
    cudaFuncAttributes attributes{};
    CHECK(cudaFuncGetAttributes(&attributes, cuda::map_kernel<Itself, float>));
    return attributes.ptxVersion >= 90;
  }();
  return answer;
}

}  // namespace

bool may_start_early([[maybe_unused]] cudaStream_t stream) {
#if CUDART_VERSION >= 13000  // which changed the arguments of cudaStreamGetCaptureInfo()
  if (!kStartsEarly || !kernels_wait()) return false;
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  const cudaGraphNode_t* before = nullptr;
  const cudaGraphEdgeData* edges = nullptr;
  size_t count = 0;
  CHECK(cudaStreamGetCaptureInfo(stream, &status, nullptr, nullptr, &before, &edges, &count));
  // Only where CUDA's documentation says what happens: a captured launch after one kernel becomes a
  // programmatic edge from it (CUDA programming guide, "Use in CUDA Graphs"), which "may only be used between
  // kernel nodes". After copies, events of other streams, or several nodes it does not say. Outside a
  // capture, where the host takes longer for a launch than the GPU, nothing would be gained.
  if (status != cudaStreamCaptureStatusActive || count != 1) return false;
  cudaGraphNodeType type{};
  CHECK(cudaGraphNodeGetType(before[0], &type));
  return type == cudaGraphNodeTypeKernel;
#else
  return false;
#endif
}

}  // namespace lockstep
