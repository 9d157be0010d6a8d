#pragma once

// Elements of the matrices and tensors that the emulated libraries read and write, of any of their types.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <bit>
#include <cstddef>
#include <cstdint>

#include "tests/support/emulator/account/account.h"

namespace emulator {

/// False for a type that no emulated library computes with.
inline bool is_supported(cudaDataType_t type) {
  return type == CUDA_R_32F || type == CUDA_R_16BF || type == CUDA_R_16F;
}

inline size_t size_of(cudaDataType_t type) { return type == CUDA_R_32F ? sizeof(float) : 2; }

inline float load(cudaDataType_t type, const void* array, size_t i) {
  if (type == CUDA_R_16BF) return static_cast<float>(static_cast<const __nv_bfloat16*>(array)[i]);
  if (type == CUDA_R_16F) return static_cast<float>(static_cast<const __half*>(array)[i]);
  return static_cast<const float*>(array)[i];
}

inline void store(cudaDataType_t type, void* array, size_t i, float value) {
  if (type == CUDA_R_16BF)
    static_cast<__nv_bfloat16*>(array)[i] = __nv_bfloat16(value);
  else if (type == CUDA_R_16F)
    static_cast<__half*>(array)[i] = __half(value);
  else
    static_cast<float*>(array)[i] = value;
}

/// What a tensor core reads of a float as TF32: ten bits after the point. (The hardware cuts the rest off;
/// NVIDIA's libraries round, to nearest.)
inline float as_tf32(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7F800000u) == 0x7F800000u) return value;  // infinity or NaN
  return std::bit_cast<float>((bits + 0x1000u) & ~0x1FFFu);
}

/// In which arithmetic factors of a type are multiplied.
inline account::Arithmetic arithmetic_of(cudaDataType_t type, bool rounds_floats) {
  if (type != CUDA_R_32F) return account::Arithmetic::bf16;
  return rounds_floats ? account::Arithmetic::tf32 : account::Arithmetic::fp32;
}

}  // namespace emulator
