#pragma once

// Helpers for oneDNN, shared by the operations. Included only by .cpp files of src/ops.
#include <omp.h>

#include <dnnl.hpp>

#include "src/core/error.h"
#include "src/tensor/tensor.h"

namespace lockstep::onednn {

/// The one CPU engine of the process; primitives and memories refer to it from any thread.
const dnnl::engine& engine();

/// oneDNN's name of a type of real numbers.
dnnl::memory::data_type type_of(DType type);

/// While one exists, oneDNN plans for and uses a single thread. How it splits sums, which decides the bits,
/// is chosen when a primitive is created and depends on the number of OpenMP threads, which differs between
/// machines and between ranks.
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
/// own message. Parallelism comes from the lanes of a ThreadPool, which compute whole micro-batches.
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

/// A memory object whose data is set at each call.
inline dnnl::memory unbound(const dnnl::memory::desc& desc) {
  return dnnl::memory(desc, engine(), DNNL_MEMORY_NONE);
}

/// Points `memory` at data that oneDNN reads or writes; its interface is not const-correct.
inline void bind(dnnl::memory& memory, const void* data) { memory.set_data_handle(const_cast<void*>(data)); }

/// Attributes for scratch memory provided by the caller, so that execution allocates nothing.
inline dnnl::primitive_attr user_scratchpad() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

// Creates primitive descriptors. oneDNN 2 wraps the operands into an operation descriptor first; since
// version 3 the primitive takes them directly. Nothing else in src/ops depends on the version.
#if DNNL_VERSION_MAJOR >= 3

/// A forward primitive with these attributes; the operands in the order of oneDNN's documentation.
template <typename Primitive, typename... Operands>
auto describe_with(const dnnl::primitive_attr& attributes, const Operands&... operands) {
  return typename Primitive::primitive_desc(engine(), operands..., attributes);
}

/// A backward primitive with the formats chosen by `forward`.
template <typename Primitive, typename Forward, typename... Operands>
auto describe_backward(const Forward& forward, const Operands&... operands) {
  return typename Primitive::primitive_desc(engine(), operands..., forward, user_scratchpad());
}

#else

template <typename Primitive, typename... Operands>
auto describe_with(const dnnl::primitive_attr& attributes, const Operands&... operands) {
  return typename Primitive::primitive_desc(typename Primitive::desc(operands...), attributes, engine());
}

template <typename Primitive, typename Forward, typename... Operands>
auto describe_backward(const Forward& forward, const Operands&... operands) {
  return typename Primitive::primitive_desc(typename Primitive::desc(operands...), user_scratchpad(),
                                            engine(), forward);
}

#endif

/// A forward primitive with caller-provided scratch memory.
template <typename Primitive, typename... Operands>
auto describe(const Operands&... operands) {
  return describe_with<Primitive>(user_scratchpad(), operands...);
}

/// An elementwise function with its parameter, of tensors that all have the descriptor `data`, and its
/// gradient.
dnnl::eltwise_forward::primitive_desc describe_eltwise(dnnl::algorithm function, float alpha,
                                                       const dnnl::memory::desc& data);
dnnl::eltwise_backward::primitive_desc describe_eltwise_backward(dnnl::algorithm function, float alpha,
                                                                 const dnnl::memory::desc& data);

}  // namespace lockstep::onednn
