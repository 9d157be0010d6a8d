#include "src/device/copy_stream.h"

#include <cstring>

#ifdef LOCKSTEP_HAVE_CUDA
#include "src/device/cuda_context.h"
#endif

namespace lockstep {

#ifdef LOCKSTEP_HAVE_CUDA

struct CopyStream::Impl {
  Stream stream;
  GpuEvent joined;
};

CopyStream::CopyStream(Exec exec) : exec_(exec), impl_(std::make_unique<Impl>()) {
  if (!exec.on_cuda()) return;
  CHECK(cudaStreamCreateWithPriority(impl_->stream.out(), cudaStreamNonBlocking, 0));
  CHECK(cudaEventCreateWithFlags(impl_->joined.out(), cudaEventDisableTiming));
}

void CopyStream::copy(void* destination, const void* source, size_t bytes) {
  if (bytes == 0) return;
  if (!exec_.on_cuda()) {
    std::memcpy(destination, source, bytes);
    return;
  }
  CHECK(cudaMemcpyAsync(destination, source, bytes, cudaMemcpyDefault, impl_->stream.get()));
}

void CopyStream::join() {
  if (!exec_.on_cuda()) return;
  CHECK(cudaEventRecord(impl_->joined.get(), impl_->stream.get()));
  CHECK(cudaStreamWaitEvent(exec_.cuda->compute_stream(), impl_->joined.get(), 0));
}

bool CopyStream::done() const {
  if (!exec_.on_cuda()) return true;
  const cudaError_t status = cudaEventQuery(impl_->joined.get());
  if (status != cudaErrorNotReady) CHECK(status);
  static_cast<void>(cudaGetLastError());  // "not ready" must not be reported by the next launch
  return status == cudaSuccess;
}

void CopyStream::wait() {
  if (exec_.on_cuda()) CHECK(cudaEventSynchronize(impl_->joined.get()));
}

#else

// Without CUDA every copy is complete when its call returns.
struct CopyStream::Impl {};
CopyStream::CopyStream(Exec exec) : exec_(exec) {}
void CopyStream::copy(void* destination, const void* source, size_t bytes) {
  if (bytes > 0) std::memcpy(destination, source, bytes);
}
void CopyStream::join() {}
bool CopyStream::done() const { return true; }
void CopyStream::wait() {}

#endif

CopyStream::~CopyStream() = default;
CopyStream::CopyStream(CopyStream&&) noexcept = default;

}  // namespace lockstep
