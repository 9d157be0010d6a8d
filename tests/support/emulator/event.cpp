// Events: marks between the work of streams.
#include <chrono>
#include <cstddef>
#include <memory>
#include <vector>

#include "tests/support/emulator/error.h"
#include "tests/support/emulator/graph.h"
#include "tests/support/emulator/queue.h"
#include "tests/support/emulator/stream.h"

namespace emulator {

namespace {

/// One recording of an event. Waits refer to it, so that the event may be recorded anew meanwhile.
struct Mark {
  CUstream_st* stream = nullptr;
  bool reached = false;
  Moment time;
  std::shared_ptr<Capture> capture;  ///< when it was recorded in a capture, and after which work:
  std::vector<size_t> after;
};

void run_until(const std::shared_ptr<Mark>& mark) {
  while (!mark->reached) run_first(mark->stream);
}

}  // namespace

}  // namespace emulator

using emulator::Mark;

struct CUevent_st {
  bool timed = true;
  std::shared_ptr<Mark> mark;  ///< of the newest recording
};

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  return emulator::running([&] {
    const std::shared_ptr<Mark> mark = event->mark;
    if (mark == nullptr) return cudaSuccess;  // never recorded
    if (mark->capture == nullptr) {
      // Work outside a capture cannot be waited for inside.
      if (stream->capture != nullptr) {
        stream->capture->valid = false;
        return cudaErrorStreamCaptureUnsupported;
      }
      emulator::enqueue(stream, [mark] {
        emulator::run_until(mark);
        emulator::go_on_at(mark->time);
      });
      return cudaSuccess;
    }
    if (stream->capture != nullptr && stream->capture != mark->capture) return cudaErrorInvalidValue;
    stream->capture = mark->capture;
    mark->capture->join(stream, mark->after);
    return cudaSuccess;
  });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  return emulator::running([&] {
    *event = new CUevent_st{.timed = (flags & cudaEventDisableTiming) == 0, .mark = nullptr};
    return cudaSuccess;
  });
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return cudaEventRecordWithFlags(event, stream, cudaEventRecordDefault);
}

cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned flags) {
  return emulator::running([&] {
    const bool external = flags == cudaEventRecordExternal;
    if (external && stream->capture == nullptr) return cudaErrorInvalidValue;
    auto mark = std::make_shared<Mark>();
    event->mark = mark;
    mark->stream = stream;
    if (stream->capture != nullptr && !external) {
      mark->capture = stream->capture;
      mark->after = stream->capture->last(stream);
      return cudaSuccess;
    }
    emulator::enqueue(stream, [mark] {
      mark->reached = true;
      mark->time = emulator::current_moment();
    });
    return cudaSuccess;
  });
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  return emulator::running([&] {
    const std::shared_ptr<Mark> mark = event->mark;
    if (mark == nullptr || mark->reached) return cudaSuccess;
    if (mark->capture != nullptr) return cudaErrorStreamCaptureUnsupported;
    emulator::run_first(mark->stream);  // who asks again and again gets there
    return mark->reached ? cudaSuccess : cudaErrorNotReady;
  });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return emulator::running([&] {
    const std::shared_ptr<Mark> mark = event->mark;
    if (mark == nullptr) return cudaSuccess;
    if (mark->capture != nullptr) return cudaErrorStreamCaptureUnsupported;
    emulator::run_until(mark);
    emulator::host_waited_until(mark->time);
    return cudaSuccess;
  });
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  return emulator::running([&] {
    if (start->mark == nullptr || end->mark == nullptr) return cudaErrorInvalidResourceHandle;
    if (!start->timed || !end->timed || start->mark->capture != nullptr || end->mark->capture != nullptr)
      return cudaErrorInvalidResourceHandle;
    if (!start->mark->reached || !end->mark->reached) return cudaErrorNotReady;
    *milliseconds = std::chrono::duration<float, std::milli>(end->mark->time - start->mark->time).count();
    return cudaSuccess;
  });
}
