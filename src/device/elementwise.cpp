#include "src/device/elementwise.h"

#include <algorithm>

#ifdef LOCKSTEP_HAVE_CUDA
#include "src/device/cuda_context.h"
#endif

namespace lockstep {

void add_in_place([[maybe_unused]] Exec exec, float* destination, const float* source, int64_t n) {
#ifdef LOCKSTEP_HAVE_CUDA
  if (exec.on_cuda()) return cuda::add_in_place(exec.cuda->compute_stream(), destination, source, n);
#endif
  for (int64_t i = 0; i < n; ++i) destination[i] += source[i];
}

void copy_few([[maybe_unused]] Exec exec, float* destination, const float* source, int64_t n) {
#ifdef LOCKSTEP_HAVE_CUDA
  if (exec.on_cuda()) return cuda::copy_few(exec.cuda->compute_stream(), destination, source, n);
#endif
  std::copy_n(source, n, destination);
}

}  // namespace lockstep
