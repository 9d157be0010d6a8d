#pragma once

#include <array>

#include "src/tensor/dtype.h"

namespace lockstep {

/// In which types a network computes. Master weights, gradients of parameters, optimizer state, statistics
/// and the outputs that a loss reads are float in each.
enum class Precision {
  fp32,
  tf32,  ///< float, but GPUs round the factors of products to ten bits after the point
  bf16,
  fp16,
};

inline constexpr std::array<Precision, 4> kPrecisions = {Precision::fp32, Precision::tf32, Precision::bf16,
                                                         Precision::fp16};

/// "bf16": its name in run.precision.
constexpr const char* to_string(Precision precision) {
  constexpr std::array<const char*, 4> kNames = {"fp32", "tf32", "bf16", "fp16"};
  return kNames[static_cast<size_t>(precision)];
}

/// The type of activations, their gradients, and the weights that layers read.
inline DType activation_type(Precision precision) {
  if (precision == Precision::bf16) return DType::bf16;
  return precision == Precision::fp16 ? DType::f16 : DType::f32;
}

}  // namespace lockstep
