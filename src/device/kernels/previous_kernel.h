#pragma once

// For .cu files: what every kernel does first.
#include <cuda_runtime.h>

namespace lockstep {

/// The first statement of every kernel, for each of its threads: waits until the kernel before it on the
/// stream has finished and its writes are visible here. launch() may start a kernel before that, so that its
/// launch takes no time of its own (CUDA programming guide, "Programmatic Dependent Launch and
/// Synchronization"). Then lets the next kernel start early too.
///
/// A kernel finishes only after all its threads have waited, so whatever comes after it on the stream, a
/// kernel of a library, a copy, or a stream that waits for an event, also comes after all that was before it.
/// That needs the wait in every thread of every kernel: where one did not wait, its grid could finish before
/// the grid before it, and the next kernel, which waits for one grid, would read what that has yet to write.
/// The next kernel's blocks start only when all blocks of this one have, so they take no multiprocessor from
/// it; and because they wait too, telling them early promises nothing about memory.
__device__ __forceinline__ void wait_for_previous_kernel() {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
  cudaGridDependencySynchronize();
  cudaTriggerProgrammaticLaunchCompletion();
#endif
}

}  // namespace lockstep
