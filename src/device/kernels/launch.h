#pragma once

// The one way to start a kernel. Included by .cu files only.
#include <algorithm>
#include <cstdint>

#include "src/device/cuda_check.h"
#include "src/device/exec.h"

namespace lockstep {

/// The stream of this Exec's kernels, for files that need nothing else of its CudaContext.
cudaStream_t compute_stream(Exec exec);

/// kScratchBytes of GPU memory for the intermediate sums between two kernels of one operation on the compute
/// stream. The next operation overwrites it.
void* scratch(Exec exec);
inline constexpr size_t kScratchBytes = size_t{4} << 20;

/// Counts the blocks of a kernel on the compute stream (last_block.h). Zero between kernels.
unsigned* block_counter(Exec exec);

/// Whether the next kernel on the stream is allowed to start before the one before it has finished, which
/// saves the time of its launch: see wait_for_previous_kernel(), with which every kernel begins.
bool may_start_early(cudaStream_t stream);

/// Enqueues kernel<<<grid, block, shared_bytes, stream>>>(args...), after what is on the stream; throws Error
/// if the launch fails. Arguments convert to the kernel's parameter types as in a call.
template <typename... Params, typename... Args>
void launch(void (*kernel)(Params...), dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream,
            Args&&... args) {
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared_bytes;
  config.stream = stream;
  cudaLaunchAttribute early{};
  early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  early.val.programmaticStreamSerializationAllowed = 1;
  config.attrs = &early;
  config.numAttrs = may_start_early(stream) ? 1 : 0;
  CHECK(cudaLaunchKernelEx(&config, kernel, static_cast<Params>(args)...));
  CHECK(cudaGetLastError());
}

// A build with an emulated GPU sets this to a small number, so that even small inputs need several rounds.
#ifndef LOCKSTEP_MAX_BLOCKS
#define LOCKSTEP_MAX_BLOCKS 4096
#endif

/// The number of blocks of `block` threads that cover n elements, at most `max_blocks`: kernels loop over the
/// rest with a grid stride.
inline unsigned blocks_for(int64_t n, int block, int64_t max_blocks = LOCKSTEP_MAX_BLOCKS) {
  const int64_t blocks = std::min<int64_t>({(n + block - 1) / block, max_blocks, LOCKSTEP_MAX_BLOCKS});
  return static_cast<unsigned>(std::max<int64_t>(blocks, 1));
}

/// Whether a pointer may be read as float4.
inline bool is_vector_aligned(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer) % 16 == 0; }

}  // namespace lockstep
