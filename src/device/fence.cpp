#include "src/device/fence.h"

#ifdef LOCKSTEP_HAVE_CUDA
#include "src/device/cuda_context.h"
#endif

namespace lockstep {

#ifdef LOCKSTEP_HAVE_CUDA

struct Fence::Impl {
  GpuEvent event;
};

Fence::Fence(Exec exec) : exec_(exec), impl_(std::make_unique<Impl>()) {
  if (exec.on_cuda()) CHECK(cudaEventCreateWithFlags(impl_->event.out(), cudaEventDisableTiming));
}

void Fence::record() {
  if (exec_.on_cuda()) CHECK(cudaEventRecord(impl_->event.get(), exec_.cuda->compute_stream()));
}

void Fence::wait() {
  if (exec_.on_cuda()) CHECK(cudaEventSynchronize(impl_->event.get()));
}

bool Fence::reached() const {
  if (!exec_.on_cuda()) return true;
  const cudaError_t status = cudaEventQuery(impl_->event.get());
  if (status != cudaErrorNotReady) CHECK(status);
  static_cast<void>(cudaGetLastError());  // "not ready" must not be reported by the next launch
  return status == cudaSuccess;
}

#else

// Without CUDA there is nothing to wait for: every operation is complete when its call returns.
struct Fence::Impl {};
Fence::Fence(Exec exec) : exec_(exec) {}
void Fence::record() {}
void Fence::wait() {}
bool Fence::reached() const { return true; }

#endif

Fence::~Fence() = default;

}  // namespace lockstep
