#pragma once

#include "src/core/error.h"
#include "src/tensor/dtype.h"
#include "src/tensor/shape.h"

namespace lockstep {

/// A non-owning view of a dense array: pointer, type, shape. Row-major; activations are channels-last (N, H,
/// W, C), convolution weights (K, R, S, C). Void is `void` or `const void`.
template <typename Void>
class BasicTensor {
 public:
  BasicTensor() = default;
  BasicTensor(Void* data, DType dtype, const Shape& shape) : data_(data), dtype_(dtype), shape_(shape) {}
  /// A Tensor is a ConstTensor. (A template: the copy constructor of Tensor stays the default one.)
  template <typename Other>
  requires(std::is_const_v<Void> && !std::is_const_v<Other>) BasicTensor(const BasicTensor<Other>& other)
      : data_(other.raw()), dtype_(other.dtype()), shape_(other.shape()) {}

  Void* raw() const { return data_; }
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  int64_t elements() const { return data_ == nullptr ? 0 : shape_.elements(); }
  size_t bytes() const { return static_cast<size_t>(elements()) * size_of(dtype_); }
  /// Whether this refers to a tensor; absent optional inputs and outputs are passed as Tensor{}.
  explicit operator bool() const { return data_ != nullptr; }

  /// The elements as T; throws Error(bug) if they have another type.
  template <typename T>
  auto data() const {
    INVARIANT(data_ == nullptr || dtype_of<T>() == dtype_, "a tensor of {} read as another type",
              to_string(dtype_));
    if constexpr (std::is_const_v<Void>)
      return static_cast<const T*>(data_);
    else
      return static_cast<T*>(data_);
  }

  /// The same elements with another shape, of the same number of elements.
  BasicTensor reshaped(const Shape& shape) const {
    INVARIANT(shape.elements() == shape_.elements(), "{} does not reshape to {}", to_string(shape_),
              to_string(shape));
    return {data_, dtype_, shape};
  }

 private:
  Void* data_ = nullptr;
  DType dtype_ = DType::f32;
  Shape shape_;
};

using Tensor = BasicTensor<void>;
using ConstTensor = BasicTensor<const void>;

}  // namespace lockstep
