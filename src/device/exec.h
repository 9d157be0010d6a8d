#pragma once

#include <memory>
#include <string>

namespace lockstep {

enum class Backend { cpu, cuda };

std::string to_string(Backend backend);

/// The streams and library handles of one GPU (src/device/cuda_context.h; incomplete in a CPU-only build).
class CudaContext;

/// Where an operation runs: on the calling CPU thread, or on a stream of a GPU. A small value, passed by
/// copy. Work on the CPU is done when the call returns; work on CUDA is enqueued on `cuda->compute_stream()`.
struct Exec {
  CudaContext* cuda = nullptr;  ///< not owned; null: CPU

  Backend backend() const { return on_cuda() ? Backend::cuda : Backend::cpu; }
  /// Never in a CPU-only build, where calls of CUDA code are discarded by `if constexpr (kCuda)`.
  bool on_cuda() const { return cuda != nullptr; }
};

/// Waits until everything enqueued on `exec` is done. Throws Error if the device reports one.
void synchronize(Exec exec);

}  // namespace lockstep
