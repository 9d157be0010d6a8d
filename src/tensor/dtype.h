#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

#include "src/tensor/half.h"

namespace lockstep {

enum class DType { u8, i32, i64, f16, bf16, f32, f64 };

size_t size_of(DType dtype);
std::string to_string(DType dtype);
/// The reverse of to_string; throws Error(data) for an unknown name.
DType dtype_named(const std::string& name);

/// The DType of a C++ type: f16 and bf16 are those of src/tensor/half.h.
template <typename T>
constexpr DType dtype_of() {
  using U = std::remove_cv_t<T>;
  if constexpr (std::is_same_v<U, uint8_t>) return DType::u8;
  if constexpr (std::is_same_v<U, int32_t>) return DType::i32;
  if constexpr (std::is_same_v<U, int64_t>) return DType::i64;
  if constexpr (std::is_same_v<U, f16>) return DType::f16;
  if constexpr (std::is_same_v<U, bf16>) return DType::bf16;
  if constexpr (std::is_same_v<U, float>) return DType::f32;
  if constexpr (std::is_same_v<U, double>) return DType::f64;
}

}  // namespace lockstep
