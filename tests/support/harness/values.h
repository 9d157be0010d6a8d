#pragma once

#include <cstdint>
#include <vector>

#include "src/tensor/dtype.h"
#include "tests/support/compare.h"

namespace lockstep::test {

/// The bytes of values of a type, each rounded to the nearest (integers: down); and their values. For the
/// operations' tests, and therefore from the definition of each type rather than by the program's own code.
std::vector<uint8_t> encode(DType dtype, const Doubles& values);
Doubles decode(DType dtype, const std::vector<uint8_t>& bytes);

}  // namespace lockstep::test
