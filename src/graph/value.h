#pragma once

#include "src/tensor/tensor.h"

namespace lockstep {

/// What flows between layers: the type of its elements, and its shape. Of one sample, without the batch axis,
/// unless it says otherwise.
struct Value {
  DType dtype = DType::f32;
  Shape shape;

  int64_t bytes() const { return shape.elements() * static_cast<int64_t>(size_of(dtype)); }
  /// Of n samples: with a first axis of n.
  Value batched(int64_t n) const { return {dtype, shape.batched(n)}; }

  friend bool operator==(const Value&, const Value&) = default;
};

}  // namespace lockstep
