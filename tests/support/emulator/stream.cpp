#include "tests/support/emulator/stream.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "tests/support/emulator/device_memory.h"
#include "tests/support/emulator/error.h"
#include "tests/support/emulator/graph.h"
#include "tests/support/emulator/queue.h"

namespace emulator {

namespace {

using Clock = std::chrono::steady_clock;

std::vector<CUstream_st*>& streams() {
  static std::vector<CUstream_st*> all;
  return all;
}

void run_all(CUstream_st* stream) {
  if (stream->queue.empty()) return;
  const DeviceMemoryAccess access;  // once for all of the work: it takes time for each allocation
  while (!stream->queue.empty()) run_first(stream);
}

/// Of the work that is running; under the runtime's lock.
Moment current;
/// Of the host, where it waited for work that took longer than it really did.
Moment host;
/// Time spent so far in work that other work has started.
Clock::duration in_nested{};

/// A capture that this thread has begun and not ended.
thread_local std::shared_ptr<Capture> own_capture;

}  // namespace

void run_first(CUstream_st* stream) {
  const CUstream_st::Item item = std::move(stream->queue.front());
  stream->queue.pop_front();
  const DeviceMemoryAccess access;
  stream->done = run_timed(item.work, std::max(stream->done, item.enqueued));
}

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

void host_waited_until(Moment moment) { host = std::max(host, moment); }

void go_on_at(Moment moment) { current = std::max(current, moment); }

void run_everything() {
  for (CUstream_st* stream : streams()) {
    run_all(stream);
    host_waited_until(stream->done);
  }
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
  stream->queue.push_back({std::move(work), std::max(Clock::now(), host)});
  // Sometimes a GPU is fast, too.
  if (when == When::at_once || random_below(4) == 0) run_all(stream);
}

bool is_capturing(CUstream_st* stream) { return stream->capture != nullptr; }

}  // namespace emulator

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
    emulator::host_waited_until(stream->done);
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
