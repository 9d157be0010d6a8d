#pragma once

#include <concepts>

#include "src/core/error.h"
#include "src/tensor/dtype.h"

namespace lockstep {

/// The types of activations and of the weights that layers read, as chosen by run.precision. Kernels read
/// and write any of them, and compute in float.
template <typename T>
concept Real = std::same_as<T, float> || std::same_as<T, bf16> || std::same_as<T, f16>;

inline bool is_real(DType type) { return type == DType::f32 || type == DType::bf16 || type == DType::f16; }

/// Calls work(T{}) with the C++ type of real numbers; throws Error(bug) for any other type.
template <typename Work>
void with_real(DType type, Work&& work) {
  switch (type) {
    case DType::f32:
      return work(float{});
    case DType::bf16:
      return work(bf16{});
    case DType::f16:
      return work(f16{});
    default:
      fail(ExitCode::bug, "{} is not a type of real numbers", to_string(type));
  }
}

/// The same for the types that the CPU computes with: oneDNN has no f16 for most processors.
template <typename Work>
void with_cpu_real(DType type, Work&& work) {
  if (type == DType::f32) return work(float{});
  if (type == DType::bf16) return work(bf16{});
  fail(ExitCode::bug, "the CPU does not compute with {}", to_string(type));
}

}  // namespace lockstep
