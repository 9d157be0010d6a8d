#pragma once

// What the operations share of oneDNN. Included by .cpp files of src/ops only.
#include <omp.h>

#include <dnnl.hpp>

#include "src/core/error.h"
#include "src/tensor/tensor.h"

namespace lockstep::onednn {

/// The one CPU engine of the process; primitives and memories refer to it from any thread.
const dnnl::engine& engine();

/// While it lives, oneDNN plans for one thread and uses one: the split of its sums, chosen when a primitive
/// is made, decides the bits, and how many threads OpenMP offers differs between machines and between ranks.
class OneThread {
 public:
  OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

/// Runs code that uses oneDNN's C++ interface on one thread, and rethrows its failures as Error with oneDNN's
/// own words. Parallelism comes from the lanes of a ThreadPool, which compute whole micro-batches.
template <typename Function>
auto guarded(const char* what, Function&& function) {
  const OneThread one_thread;
  try {
    return function();
  } catch (const dnnl::error& error) {
    fail(error.status == dnnl_out_of_memory ? ExitCode::memory : ExitCode::bug, "{}: oneDNN: {} (status {})",
         what, error.what(), static_cast<int>(error.status));
  }
}

/// A memory that gets its data at each call.
inline dnnl::memory unbound(const dnnl::memory::desc& desc) {
  return dnnl::memory(desc, engine(), DNNL_MEMORY_NONE);
}

/// Points `memory` at data that oneDNN reads or writes; its interface has no const.
inline void bind(dnnl::memory& memory, const void* data) { memory.set_data_handle(const_cast<void*>(data)); }

/// Scratch memory is kept by the caller, so that executing allocates nothing.
inline dnnl::primitive_attr user_scratchpad() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

}  // namespace lockstep::onednn
