#include "src/device/narrow.h"

#include <bit>

namespace lockstep::cpu {

namespace {

struct Bf16 {
  static uint16_t narrow(float value) {
    const auto bits = std::bit_cast<uint32_t>(value);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u)
      return static_cast<uint16_t>(bits >> 16 | 0x40u);  // NaN, kept one
    const uint32_t tie = bits >> 16 & 1u;                // to even
    return static_cast<uint16_t>((bits + 0x7FFFu + tie) >> 16);
  }
  static float widen(uint16_t value) { return std::bit_cast<float>(uint32_t{value} << 16); }
};

struct Fp16 {
  // Exponents: a float's bias is 127, and a half's is 15.
  static constexpr uint32_t kInfinity = 0x7C00u;
  static uint16_t narrow(float value) {
    const auto bits = std::bit_cast<uint32_t>(value);
    const uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7FFFFFFFu;
    if (magnitude > 0x7F800000u) return static_cast<uint16_t>(sign | 0x7E00u);
    if (magnitude >= std::bit_cast<uint32_t>(0x1p16f)) return static_cast<uint16_t>(sign | kInfinity);
    if (magnitude < std::bit_cast<uint32_t>(0x1p-14f)) {
      // A subnormal half counts units of 2^-24, which is the last place of 0.5: the addition rounds.
      const float units = std::bit_cast<float>(magnitude) + 0.5f;
      return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(units) - std::bit_cast<uint32_t>(0.5f)));
    }
    const uint32_t tie = magnitude >> 13 & 1u;
    return static_cast<uint16_t>(sign | ((magnitude - (112u << 23) + 0xFFFu + tie) >> 13));
  }
  static float widen(uint16_t value) {
    const uint32_t sign = uint32_t{value & 0x8000u} << 16, magnitude = value & 0x7FFFu;
    // The exponent is 112 too small; a multiplication corrects it, for subnormal halves too.
    uint32_t bits = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude << 13) * 0x1p112f);
    if (magnitude >= kInfinity) bits |= 0x7F800000u;
    return std::bit_cast<float>(bits | sign);
  }
};

/// work(format) with the format of the type.
template <typename Work>
void with(NarrowFloat type, Work work) {
  if (type == NarrowFloat::bf16)
    work(Bf16{});
  else
    work(Fp16{});
}

}  // namespace

void narrow(NarrowFloat type, const float* source, uint16_t* destination, int64_t n) {
  with(type, [=](auto format) {
    for (int64_t i = 0; i < n; ++i) destination[i] = format.narrow(source[i]);
  });
}

void widen(NarrowFloat type, const uint16_t* source, float* destination, int64_t n) {
  with(type, [=](auto format) {
    for (int64_t i = 0; i < n; ++i) destination[i] = format.widen(source[i]);
  });
}

void add_narrow(NarrowFloat type, const uint16_t* source, float* destination, int64_t n) {
  with(type, [=](auto format) {
    for (int64_t i = 0; i < n; ++i) destination[i] += format.widen(source[i]);
  });
}

}  // namespace lockstep::cpu
