#include "src/device/replay.h"

#include <utility>

#ifdef LOCKSTEP_HAVE_CUDA
#include "src/device/cuda_context.h"
#endif

namespace lockstep {

#ifdef LOCKSTEP_HAVE_CUDA

struct Replay::Impl {
  bool warm = false;
  Handle<cudaGraphExec_t, cudaGraphExecDestroy> graph;

  void capture(cudaStream_t stream, const std::function<void()>& enqueue) {
    Handle<cudaGraph_t, cudaGraphDestroy> captured;
    CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    try {
      enqueue();
    } catch (...) {
      static_cast<void>(cudaStreamEndCapture(stream, captured.out()));
      static_cast<void>(
          cudaGetLastError());  // an invalidated capture must not be reported by the next launch
      throw;
    }
    CHECK(cudaStreamEndCapture(stream, captured.out()));
    // Without the flag every node would have the priority of the stream into which the graph is launched, and
    // the all-reduce of a bucket would wait behind convolutions.
    CHECK(cudaGraphInstantiate(graph.out(), captured.get(), cudaGraphInstantiateFlagUseNodePriority));
  }
};

void Replay::run() {
  if (!capture_) return enqueue_();
  const cudaStream_t stream = exec_.cuda->compute_stream();
  if (!std::exchange(impl_->warm, true)) return enqueue_();
  if (!impl_->graph) impl_->capture(stream, enqueue_);
  CHECK(cudaGraphLaunch(impl_->graph.get(), stream));
}

#else

// Without CUDA there is nothing to capture.
struct Replay::Impl {};
void Replay::run() { enqueue_(); }

#endif

Replay::Replay(Exec exec, bool capture, std::function<void()> enqueue)
    : exec_(exec),
      capture_(capture && exec.on_cuda()),
      enqueue_(std::move(enqueue)),
      impl_(std::make_unique<Impl>()) {}

Replay::~Replay() = default;

}  // namespace lockstep
