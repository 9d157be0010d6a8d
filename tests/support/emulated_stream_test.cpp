// Tests of the emulator itself: that work on streams runs in an order that a GPU could choose, and no earlier
// than a GPU must.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mpi.h>

#include <chrono>
#include <functional>
#include <set>
#include <thread>
#include <vector>

#include "src/device/kernels/launch.h"
#include "src/device/kernels/previous_kernel.h"
#include "src/device/libraries/handle.h"
#include "tests/support/emulator/stream.h"

namespace lockstep {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

using Stream = Handle<cudaStream_t, cudaStreamDestroy>;
using GpuEvent = Handle<cudaEvent_t, cudaEventDestroy>;
using Graph = Handle<cudaGraph_t, cudaGraphDestroy>;
using GraphExec = Handle<cudaGraphExec_t, cudaGraphExecDestroy>;

__global__ void append_kernel(int* list, int value) {
  wait_for_previous_kernel();
  list[++list[0]] = value;
}

class EmulatedStream : public testing::Test {
 protected:
  void SetUp() override {
    for (Stream* stream : {&first, &second})
      CHECK(cudaStreamCreateWithPriority(stream->out(), cudaStreamNonBlocking, 0));
    CHECK(cudaEventCreateWithFlags(event.out(), cudaEventDisableTiming));
    CHECK(cudaMalloc(list.out(), 64 * sizeof(int)));
    clear();
  }

  void clear() {
    CHECK(cudaMemsetAsync(list.get(), 0, 64 * sizeof(int), first.get()));
    CHECK(cudaStreamSynchronize(first.get()));
  }

  void append(const Stream& stream, int value) {
    launch(append_kernel, 1, 1, 0, stream.get(), static_cast<int*>(list.get()), value);
  }

  void order(const Stream& earlier, const Stream& later) {
    CHECK(cudaEventRecord(event.get(), earlier.get()));
    CHECK(cudaStreamWaitEvent(later.get(), event.get(), 0));
  }

  std::vector<int> appended() {
    CHECK(cudaDeviceSynchronize());
    std::vector<int> values(64);
    CHECK(cudaMemcpyAsync(values.data(), list.get(), 64 * sizeof(int), cudaMemcpyDefault, first.get()));
    return {values.begin() + 1, values.begin() + 1 + values[0]};
  }

  Stream first, second;
  GpuEvent event;
  Handle<void*, cudaFree> list;
};

TEST_F(EmulatedStream, AStreamKeepsItsOrder) {
  for (int i = 0; i < 5; ++i) append(first, i);
  EXPECT_THAT(appended(), ElementsAre(0, 1, 2, 3, 4));
}

/// Work that takes at least this many milliseconds, and stores how many it took.
void take(const Stream& stream, float& milliseconds) {
  const auto sleep = [](void* argument) {
    auto& time = *static_cast<float*>(argument);
    const auto start = std::chrono::steady_clock::now();
    std::this_thread::sleep_for(std::chrono::duration<float, std::milli>(time));
    time = std::chrono::duration<float, std::milli>(std::chrono::steady_clock::now() - start).count();
  };
  CHECK(cudaLaunchHostFunc(stream.get(), sleep, &milliseconds));
}

TEST_F(EmulatedStream, TimesOfEventsAreThoseOfStreamsThatRunSideBySide) {
  GpuEvent start, joined, end;
  for (GpuEvent* timed : {&start, &joined, &end})
    CHECK(cudaEventCreateWithFlags(timed->out(), cudaEventDefault));
  const auto milliseconds = [](const GpuEvent& from, const GpuEvent& to) {
    float result = 0;
    CHECK(cudaEventElapsedTime(&result, from.get(), to.get()));
    return result;
  };
  CHECK(cudaStreamBeginCapture(first.get(), cudaStreamCaptureModeThreadLocal));
  CHECK(cudaEventRecordWithFlags(start.get(), first.get(), cudaEventRecordExternal));
  order(first, second);
  float shorter = 300, longer = 500;  // long beside what a busy machine takes between two of them
  take(first, shorter);
  take(second, longer);
  CHECK(cudaEventRecordWithFlags(joined.get(), first.get(), cudaEventRecordExternal));
  order(second, first);
  CHECK(cudaEventRecordWithFlags(end.get(), first.get(), cudaEventRecordExternal));
  Graph graph;
  CHECK(cudaStreamEndCapture(first.get(), graph.out()));
  GraphExec executable;
  CHECK(cudaGraphInstantiate(executable.out(), graph.get(), 0));
  CHECK(cudaGraphLaunch(executable.get(), first.get()));
  CHECK(cudaStreamSynchronize(first.get()));
  EXPECT_GE(milliseconds(start, joined), shorter);
  EXPECT_GE(milliseconds(start, end), longer);
  EXPECT_LT(milliseconds(start, end), shorter + longer) << "one after the other";
}

// A stream's clock may be ahead of the real one.
TEST_F(EmulatedStream, WhatFollowsAWaitStartsNoEarlierThanWhatWasWaitedFor) {
  GpuEvent before, after;
  for (GpuEvent* timed : {&before, &after}) CHECK(cudaEventCreateWithFlags(timed->out(), cudaEventDefault));
  const auto wait = [&](int way) {
    if (way == 0) CHECK(cudaStreamSynchronize(first.get()));
    if (way == 1) CHECK(cudaEventSynchronize(before.get()));
    if (way == 2) CHECK(cudaDeviceSynchronize());
  };
  for (int way = 0; way < 3; ++way) {
    emulator::enqueue(first.get(),
                      [] { emulator::go_on_at(emulator::current_moment() + std::chrono::seconds(100)); });
    CHECK(cudaEventRecord(before.get(), first.get()));
    wait(way);
    CHECK(cudaEventRecord(after.get(), second.get()));
    CHECK(cudaDeviceSynchronize());
    float milliseconds = 0;
    CHECK(cudaEventElapsedTime(&milliseconds, before.get(), after.get()));
    EXPECT_GE(milliseconds, 0) << way;
  }
}

TEST_F(EmulatedStream, TwoStreamsHaveNoneButThatOfTheirEvents) {
  std::set<std::vector<int>> orders, ordered;
  for (int i = 0; i < 30; ++i) {
    clear();
    append(first, 1);
    append(second, 2);
    orders.insert(appended());
    clear();
    append(first, 1);
    order(first, second);
    append(second, 2);
    ordered.insert(appended());
  }
  EXPECT_EQ(orders.size(), 2u);
  EXPECT_THAT(ordered, ElementsAre(std::vector<int>{1, 2}));
}

TEST_F(EmulatedStream, WorkIsNotDoneBeforeSomethingWaits) {
  int late = 0;
  for (int i = 0; i < 30; ++i) {
    append(first, 1);
    CHECK(cudaEventRecord(event.get(), first.get()));
    append(first, 2);
    if (cudaEventQuery(event.get()) == cudaErrorNotReady) ++late;
    CHECK(cudaEventSynchronize(event.get()));
    EXPECT_EQ(cudaEventQuery(event.get()), cudaSuccess);
    static_cast<void>(cudaGetLastError());  // "not ready" is kept like an error
    clear();
  }
  EXPECT_GT(late, 0);
}

TEST_F(EmulatedStream, AGraphMustKeepThePrioritiesOfItsStreams) {
  Stream urgent;
  CHECK(cudaStreamCreateWithPriority(urgent.out(), cudaStreamNonBlocking, -1));
  CHECK(cudaStreamBeginCapture(first.get(), cudaStreamCaptureModeThreadLocal));
  append(first, 1);
  order(first, urgent);
  append(urgent, 2);
  order(urgent, first);
  Graph graph;
  CHECK(cudaStreamEndCapture(first.get(), graph.out()));
  GraphExec executable;
  EXPECT_EQ(cudaGraphInstantiate(executable.out(), graph.get(), 0), cudaErrorInvalidValue) << "lost";
  EXPECT_EQ(cudaGraphInstantiate(executable.out(), graph.get(), 1), cudaErrorInvalidValue) << "unknown";
  static_cast<void>(cudaGetLastError());
  CHECK(cudaGraphInstantiate(executable.out(), graph.get(), cudaGraphInstantiateFlagUseNodePriority));
  CHECK(cudaGraphLaunch(executable.get(), first.get()));
  EXPECT_THAT(appended(), ElementsAre(1, 2));
}

TEST_F(EmulatedStream, MpiIsRefusedInAHostFunction) {
  int status = MPI_SUCCESS;
  const auto call = [](void* argument) {
    float value = 1;
    *static_cast<int*>(argument) = MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
  };
  CHECK(cudaLaunchHostFunc(first.get(), call, &status));
  CHECK(cudaStreamSynchronize(first.get()));
  EXPECT_EQ(status, MPI_ERR_OTHER);
}

TEST_F(EmulatedStream, AGraphRunsWhatWasCapturedAsOftenAsItIsLaunched) {
  Graph graph;
  GraphExec executable;
  CHECK(cudaStreamBeginCapture(first.get(), cudaStreamCaptureModeThreadLocal));
  append(first, 1);
  order(first, second);
  append(second, 2);
  append(first, 3);
  order(second, first);
  append(first, 4);
  CHECK(cudaStreamEndCapture(first.get(), graph.out()));
  EXPECT_THAT(appended(), ElementsAre()) << "a capture runs nothing";
  CHECK(cudaGraphInstantiate(executable.out(), graph.get(), 0));
  std::set<std::vector<int>> orders;
  for (int i = 0; i < 30; ++i) {
    clear();
    CHECK(cudaGraphLaunch(executable.get(), first.get()));
    orders.insert(appended());
  }
  EXPECT_THAT(orders, ElementsAre(std::vector<int>{1, 2, 3, 4}, std::vector<int>{1, 3, 2, 4}));
}

TEST_F(EmulatedStream, ACaptureThatLeavesAStreamBehindFails) {
  Graph graph;
  CHECK(cudaStreamBeginCapture(first.get(), cudaStreamCaptureModeThreadLocal));
  append(first, 1);
  order(first, second);
  append(second, 2);
  EXPECT_EQ(cudaStreamEndCapture(first.get(), graph.out()), cudaErrorStreamCaptureUnjoined);
  EXPECT_EQ(graph.get(), nullptr);
  EXPECT_EQ(cudaGetLastError(), cudaErrorStreamCaptureUnjoined);
}

TEST_F(EmulatedStream, ACaptureRefusesWhatWaitsOrAllocates) {
  int host = 0;
  void* memory = nullptr;
  const std::vector<std::function<cudaError_t()>> calls = {
      [&] { return cudaStreamSynchronize(first.get()); },
      [&] { return cudaMalloc(&memory, 4); },
      [&] { return cudaMemcpyAsync(&host, list.get(), 4, cudaMemcpyDefault, first.get()); },
      [&] { return cudaMemcpyAsync(list.get(), &host, 4, cudaMemcpyDefault, first.get()); },
  };
  for (const auto& call : calls) {
    Graph graph;
    CHECK(cudaStreamBeginCapture(first.get(), cudaStreamCaptureModeThreadLocal));
    append(first, 1);
    EXPECT_EQ(call(), cudaErrorStreamCaptureUnsupported);
    EXPECT_EQ(cudaStreamEndCapture(first.get(), graph.out()), cudaErrorStreamCaptureInvalidated);
    static_cast<void>(cudaGetLastError());
    append(first, 7);
    EXPECT_THAT(appended(), ElementsAre(7)) << "the stream works on";
    clear();
  }
}

TEST_F(EmulatedStream, AllocationsEndWhereTheMemoryEnds) {
  size_t free_bytes = 0, total_bytes = 0;
  CHECK(cudaMemGetInfo(&free_bytes, &total_bytes));
  void* memory = nullptr;
  EXPECT_EQ(cudaMalloc(&memory, free_bytes + 1), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaGetLastError(), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
}

}  // namespace
}  // namespace lockstep
