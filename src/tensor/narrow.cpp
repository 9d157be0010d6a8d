#include "src/tensor/narrow.h"

#include "src/core/error.h"
#include "src/tensor/half.h"

namespace lockstep::cpu {

namespace {

/// Calls work(T{}) with the C++ type of the format.
template <typename Work>
void with(DType type, Work work) {
  INVARIANT(type == DType::bf16 || type == DType::f16, "{} is not a type of two bytes", to_string(type));
  if (type == DType::bf16)
    work(bf16{});
  else
    work(f16{});
}

template <typename T>
float widened(uint16_t bits) {
  T value;
  value.bits = bits;
  return value;
}

}  // namespace

void narrow(DType type, const float* source, uint16_t* destination, int64_t n) {
  with(type, [=]<typename T>(T) {
    for (int64_t i = 0; i < n; ++i) destination[i] = T(source[i]).bits;
  });
}

void widen(DType type, const uint16_t* source, float* destination, int64_t n) {
  with(type, [=]<typename T>(T) {
    for (int64_t i = 0; i < n; ++i) destination[i] = widened<T>(source[i]);
  });
}

void add_narrow(DType type, const uint16_t* source, float* destination, int64_t n) {
  with(type, [=]<typename T>(T) {
    for (int64_t i = 0; i < n; ++i) destination[i] += widened<T>(source[i]);
  });
}

}  // namespace lockstep::cpu
