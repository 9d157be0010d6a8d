#pragma once

// What a stream is: for the streams and the events, which look into its queue.
#include <deque>
#include <memory>

#include "tests/support/emulator/graph.h"
#include "tests/support/emulator/stream.h"

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

/// Runs the first work of a queue that is not empty.
void run_first(CUstream_st* stream);

}  // namespace emulator
