#include "tests/support/emulator/stream.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "tests/support/emulator/device_memory.h"
#include "tests/support/emulator/error.h"
#include "tests/support/emulator/graph.h"

/// A queue of work that has not run.
struct CUstream_st {
  explicit CUstream_st(int its_priority) : priority(its_priority) {}

  int priority;
  struct Item {
    emulator::Work work;
    emulator::Moment enqueued;
  };
  std::deque<Item> queue;
  emulator::Moment done;  ///< when what it has run so far ended
  std::shared_ptr<emulator::Capture> capture;
};

namespace emulator {

namespace {

using Clock = std::chrono::steady_clock;

/// One recording of an event. Waits refer to it, so that the event may be recorded anew meanwhile.
struct Mark {
  CUstream_st* stream = nullptr;
  bool reached = false;
  Moment time;
  std::shared_ptr<Capture> capture;  ///< when it was recorded in a capture, and after which work:
  std::vector<size_t> after;
};

std::vector<CUstream_st*>& streams() {
  static std::vector<CUstream_st*> all;
  return all;
}

void run_first(CUstream_st* stream) {
  const CUstream_st::Item item = std::move(stream->queue.front());
  stream->queue.pop_front();
  const DeviceMemoryAccess access;
  stream->done = run_timed(item.work, std::max(stream->done, item.enqueued));
}

void run_all(CUstream_st* stream) {
  while (!stream->queue.empty()) run_first(stream);
}

void run_until(const std::shared_ptr<Mark>& mark) {
  while (!mark->reached) run_first(mark->stream);
}

/// Of the work that is running; under the runtime's lock.
Moment current;
/// Time spent so far in work that other work has started.
Clock::duration in_nested{};

/// A capture that this thread has begun and not ended.
thread_local std::shared_ptr<Capture> own_capture;

}  // namespace

cudaError_t refuse_in_capture() {
  if (own_capture == nullptr) return cudaSuccess;
  own_capture->valid = false;
  return report(cudaErrorStreamCaptureUnsupported);
}

Moment run_timed(const Work& work, Moment start) {
  const Moment outer = std::exchange(current, start);
  const Clock::time_point wall = Clock::now();
  const Clock::duration nested = in_nested;
  const auto leave = [&] {
    const Clock::duration whole = Clock::now() - wall;
    const Moment end = current + whole - (in_nested - nested);
    in_nested = nested + whole;
    current = outer;
    return end;
  };
  try {
    work();
  } catch (...) {
    leave();
    throw;
  }
  return leave();
}

Moment current_moment() { return current; }

void go_on_at(Moment moment) { current = std::max(current, moment); }

void run_everything() {
  for (CUstream_st* stream : streams()) run_all(stream);
}

unsigned random_below(unsigned bound) {
  static std::minstd_rand generator([] {
    const char* seed = std::getenv("LOCKSTEP_EMULATOR_SEED");
    return seed == nullptr ? 1u : static_cast<unsigned>(std::strtoul(seed, nullptr, 10));
  }());
  return static_cast<unsigned>(generator() % bound);
}

void enqueue(CUstream_st* stream, Work work, When when) {
  const std::lock_guard lock(runtime_lock());
  if (stream->capture != nullptr) {
    stream->capture->add(stream, stream->priority, std::move(work), when);
    return;
  }
  stream->queue.push_back({std::move(work), Clock::now()});
  // Sometimes a GPU is fast, too.
  if (when == When::at_once || random_below(4) == 0) run_all(stream);
}

bool is_capturing(CUstream_st* stream) { return stream->capture != nullptr; }

}  // namespace emulator

using emulator::Mark;

struct CUevent_st {
  bool timed = true;
  std::shared_ptr<Mark> mark;  ///< of the newest recording
};

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned, int priority) {
  return emulator::running([&] {
    *stream = new CUstream_st(priority);
    emulator::streams().push_back(*stream);
    return cudaSuccess;
  });
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const cudaError_t status = cudaStreamSynchronize(stream);
  const std::lock_guard lock(emulator::runtime_lock());
  std::erase(emulator::streams(), stream);
  delete stream;
  return status;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (const cudaError_t refused = emulator::refuse_in_capture()) return refused;
  return emulator::running([&] {
    emulator::run_all(stream);
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceSynchronize() {
  if (const cudaError_t refused = emulator::refuse_in_capture()) return refused;
  return emulator::running([&] {
    emulator::run_everything();
    return cudaSuccess;
  });
}

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

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* argument) {
  return emulator::running([&] {
    // At once: it may be a collective, for which other processes wait.
    emulator::enqueue(
        stream,
        [=] {
          const emulator::HostCode host;
          const emulator::HostFunctionScope scope;
          function(argument);
        },
        emulator::When::at_once);
    return cudaSuccess;
  });
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  return emulator::running([&] {
    *status = stream->capture != nullptr ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
    return cudaSuccess;
  });
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  return emulator::running([&] {
    if (stream->capture != nullptr) return cudaErrorInvalidValue;
    stream->capture = std::make_shared<emulator::Capture>(stream);
    emulator::own_capture = stream->capture;
    return cudaSuccess;
  });
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  return emulator::running([&] {
    *graph = nullptr;
    const std::shared_ptr<emulator::Capture> capture = stream->capture;
    if (capture == nullptr || capture->origin != stream) return cudaErrorStreamCaptureUnmatched;
    for (CUstream_st* joined : emulator::streams())
      if (joined->capture == capture) joined->capture = nullptr;
    emulator::own_capture = nullptr;
    if (!capture->valid) return cudaErrorStreamCaptureInvalidated;
    if (!capture->all_joined()) return cudaErrorStreamCaptureUnjoined;
    *graph = new CUgraph_st{std::move(capture->nodes)};
    return cudaSuccess;
  });
}
