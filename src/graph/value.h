#pragma once

#include "src/tensor/tensor.h"

namespace lockstep {

/// The type and shape of a tensor between layers, per sample (without the batch axis) unless noted otherwise.
struct Value {
  DType dtype = DType::f32;
  Shape shape;

  int64_t bytes() const { return shape.elements() * static_cast<int64_t>(size_of(dtype)); }
  /// The same for n samples, with a first axis of n.
  Value batched(int64_t n) const { return {dtype, shape.batched(n)}; }

  /// Of each channel and of its square: LayerContext::output_sums.
  Value channel_sums() const { return {DType::f32, {2, shape[-1]}}; }

  friend bool operator==(const Value&, const Value&) = default;
};

}  // namespace lockstep
