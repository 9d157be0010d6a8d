#include "src/device/exec.h"

#ifdef LOCKSTEP_HAVE_CUDA
#include "src/device/cuda_context.h"
#endif

namespace lockstep {

std::string to_string(Backend backend) { return backend == Backend::cuda ? "cuda" : "cpu"; }

void synchronize([[maybe_unused]] Exec exec) {
#ifdef LOCKSTEP_HAVE_CUDA
  if (exec.on_cuda()) CHECK(cudaStreamSynchronize(exec.cuda->compute_stream()));
#endif
}

}  // namespace lockstep
