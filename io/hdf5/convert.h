#pragma once

#include <hdf5.h>

#include <cstddef>
#include <optional>

#include "src/tensor/dtype.h"

namespace lockstep::hdf5 {

/// The numbers that are converted here, by their C++ type.
enum class Number { i8, u8, i16, u16, i32, u32, i64, u64, f16, bf16, f32, f64 };

struct NumberType {
  Number number = Number::u8;
  bool big_endian = false;
};

/// What the elements of a data set of this type in a file are. None for other types, such as numbers of fewer
/// bits than their bytes have. Of an enumeration, what its values are stored as; of a bit field, the integer
/// with its bits.
std::optional<NumberType> number_type(hid_t type);

/// Converts `count` numbers. Neither pointer needs to be aligned; the two do not overlap.
using Convert = void (*)(const std::byte* from, size_t count, std::byte* to);

/// A conversion with the results of H5Tconvert(), for either order of bytes those for little-endian values,
/// but without libhdf5 and its lock, in loops that a compiler vectorizes: between orders of bytes, from
/// integers to any number, from floats to wider ones, and from double to single precision. Null for others,
/// from floats to integers and to floats of 16 bits.
Convert conversion(NumberType from, DType to);

}  // namespace lockstep::hdf5
