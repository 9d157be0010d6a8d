#pragma once

#include "src/tensor/dtype.h"

namespace lockstep::test {

/// How far a float may be from the oracle: absolute + relative * |expected|. Inputs of the tests are of
/// size 1.
struct Tolerance {
  double absolute, relative;
  const char* reason;
};

inline constexpr Tolerance kExact{0, 0, "values are moved or chosen, never computed"};
inline constexpr Tolerance kRounding{1e-7, 5e-7, "at most four roundings of 2^-24 each"};
inline constexpr Tolerance kFunction{2e-6, 5e-6,
                                     "exp, tanh and erf are approximated to a few units in the last place"};
inline constexpr Tolerance kSum{1e-5, 1e-5,
                                "up to a few hundred terms of size 1 are added in float, in any order"};
inline constexpr Tolerance kNormalized{5e-5, 5e-5, "differences of sums are divided by a standard deviation"};
inline constexpr Tolerance kGradient{1e-5, 2e-5,
                                     "a few roundings, against differences of doubles, exact to 1e-7"};

/// The same for results, and what an operation reads back of its own results, rounded to a type.
inline Tolerance rounded_to(DType type, const Tolerance& tolerance) {
  const double ulp = type == DType::bf16 ? 0x1p-7 : type == DType::f16 ? 0x1p-10 : 0;
  return {tolerance.absolute + ulp, tolerance.relative + ulp, tolerance.reason};
}

}  // namespace lockstep::test
