#include "src/tensor/tensor.h"

#include <fmt/ranges.h>

#include <algorithm>

namespace lockstep {

size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::u8:
      return 1;
    case DType::f16:
    case DType::bf16:
      return 2;
    case DType::i32:
    case DType::f32:
      return 4;
    case DType::i64:
    case DType::f64:
      return 8;
  }
  return 0;
}

std::string to_string(DType dtype) {
  switch (dtype) {
    case DType::u8:
      return "uint8";
    case DType::i32:
      return "int32";
    case DType::i64:
      return "int64";
    case DType::f16:
      return "float16";
    case DType::bf16:
      return "bfloat16";
    case DType::f32:
      return "float32";
    case DType::f64:
      return "float64";
  }
  return "unknown";
}

DType dtype_named(const std::string& name) {
  for (const DType dtype :
       {DType::u8, DType::i32, DType::i64, DType::f16, DType::bf16, DType::f32, DType::f64})
    if (to_string(dtype) == name) return dtype;
  fail(ExitCode::data, "'{}' is not a type of tensor elements.", name);
}

Shape::Shape(std::initializer_list<int64_t> extents)
    : Shape(std::span<const int64_t>(extents.begin(), extents.size())) {}

Shape::Shape(std::span<const int64_t> extents) : rank_(static_cast<int>(extents.size())) {
  INVARIANT(rank_ <= kMaxRank, "a shape of {} axes; at most {} are supported", rank_, kMaxRank);
  std::copy(extents.begin(), extents.end(), extents_.begin());
}

int64_t Shape::elements() const {
  int64_t product = 1;
  for (const int64_t extent : extents()) product *= extent;
  return product;
}

Shape Shape::sample() const { return Shape(extents().subspan(1)); }

Shape Shape::batched(int64_t n) const {
  Shape result;
  INVARIANT(rank_ < kMaxRank, "a batch of {} would have more than {} axes", to_string(*this), kMaxRank);
  result.rank_ = rank_ + 1;
  result.extents_[0] = n;
  std::copy_n(extents_.begin(), rank_, result.extents_.begin() + 1);
  return result;
}

bool operator==(const Shape& a, const Shape& b) {
  return a.rank_ == b.rank_ &&
         std::equal(a.extents_.begin(), a.extents_.begin() + a.rank_, b.extents_.begin());
}

std::string to_string(const Shape& shape) { return fmt::format("({})", fmt::join(shape.extents(), ", ")); }

}  // namespace lockstep
