#include "src/device/timestamp.h"

#include <chrono>

#ifdef LOCKSTEP_HAVE_CUDA
#include "src/device/cuda_context.h"
#endif

namespace lockstep {

struct Timestamp::Impl {
  std::chrono::steady_clock::time_point time;
#ifdef LOCKSTEP_HAVE_CUDA
  GpuEvent event;
#endif
};

Timestamp::Timestamp(Exec exec) : exec_(exec), impl_(std::make_unique<Impl>()) {
#ifdef LOCKSTEP_HAVE_CUDA
  if (exec.on_cuda()) CHECK(cudaEventCreateWithFlags(impl_->event.out(), cudaEventDefault));
#endif
}
Timestamp::~Timestamp() = default;
Timestamp::Timestamp(Timestamp&&) noexcept = default;

void Timestamp::record([[maybe_unused]] Of stream) {
#ifdef LOCKSTEP_HAVE_CUDA
  if (exec_.on_cuda()) {
    const cudaStream_t of =
        stream == Of::compute ? exec_.cuda->compute_stream() : exec_.cuda->communication_stream();
    cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
    CHECK(cudaStreamIsCapturing(of, &capture));
    // Without the flag, an event recorded in a capture only orders its nodes and has no time.
    const bool captured = capture == cudaStreamCaptureStatusActive;
    CHECK(cudaEventRecordWithFlags(impl_->event.get(), of,
                                   captured ? cudaEventRecordExternal : cudaEventRecordDefault));
    return;
  }
#endif
  impl_->time = std::chrono::steady_clock::now();
}

double Timestamp::seconds_since(const Timestamp& earlier) const {
#ifdef LOCKSTEP_HAVE_CUDA
  if (exec_.on_cuda()) {
    float milliseconds = 0;
    CHECK(cudaEventElapsedTime(&milliseconds, earlier.impl_->event.get(), impl_->event.get()));
    return 1e-3 * static_cast<double>(milliseconds);
  }
#endif
  return std::chrono::duration<double>(impl_->time - earlier.impl_->time).count();
}

}  // namespace lockstep
