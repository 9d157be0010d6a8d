#include "io/hdf5/convert.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "io/hdf5/hdf5.h"

namespace lockstep::hdf5 {
namespace {

constexpr DType kAll[] = {DType::u8, DType::i32, DType::i64, DType::f16, DType::bf16, DType::f32, DType::f64};

/// Every type of a file that is converted, with its order of bytes.
std::vector<hid_t> stored_types() {
  std::vector<hid_t> types = {H5T_STD_I8LE,   H5T_STD_U8LE,   H5T_STD_I16LE, H5T_STD_I16BE, H5T_STD_U16LE,
                              H5T_STD_U16BE,  H5T_STD_I32LE,  H5T_STD_I32BE, H5T_STD_U32LE, H5T_STD_U32BE,
                              H5T_STD_I64LE,  H5T_STD_I64BE,  H5T_STD_U64LE, H5T_STD_U64BE, H5T_IEEE_F32LE,
                              H5T_IEEE_F32BE, H5T_IEEE_F64LE, H5T_IEEE_F64BE};
  for (const DType narrow : {DType::f16, DType::bf16}) {
    types.push_back(memory_type(narrow));
    types.push_back(H5Tcopy(memory_type(narrow)));
    H5Tset_order(types.back(), H5T_ORDER_BE);
  }
  return types;
}

/// Elements of `bytes` each: every value of 16 bits, or many random ones, limits and their neighbours.
std::vector<std::byte> samples(hid_t type, size_t bytes) {
  std::vector<uint64_t> patterns;
  std::mt19937_64 random(bytes);
  for (uint64_t i = 0; i < 65536; ++i) patterns.push_back(bytes <= 2 ? i : random());
  for (unsigned bit = 0; bit < 8 * bytes; ++bit) {
    for (const uint64_t near : {0, 1, 2, 3}) {
      patterns.push_back((uint64_t{1} << bit) - near);
      patterns.push_back((uint64_t{1} << bit) + near);
    }
    patterns.push_back(random() >> (64 - bit - 1));
  }
  for (const double value : {0., -0., 1e300, -1e300, 3.4028234e38, 3.4028235677973366e38, 3.5e38, 65504.,
                             65520., 1e-40, std::numeric_limits<double>::infinity()}) {
    patterns.push_back(std::bit_cast<uint64_t>(value));
    patterns.push_back(std::bit_cast<uint32_t>(static_cast<float>(value)));
  }
  std::vector<std::byte> values(patterns.size() * bytes);
  const bool big_endian = H5Tget_order(type) == H5T_ORDER_BE;
  for (size_t i = 0; i < patterns.size(); ++i) {
    for (size_t byte = 0; byte < bytes; ++byte)
      values[i * bytes + (big_endian ? bytes - 1 - byte : byte)] =
          static_cast<std::byte>(patterns[i] >> 8 * byte);
  }
  return values;
}

bool is_nan(const std::byte* value, DType dtype) {
  if (dtype == DType::f64) {
    double number = 0;
    std::memcpy(&number, value, sizeof(number));
    return std::isnan(number);
  }
  if (dtype == DType::f32) {
    float number = 0;
    std::memcpy(&number, value, sizeof(number));
    return std::isnan(number);
  }
  return false;
}

TEST(Convert, GivesWhatH5TconvertGives) {
  const Lock lock;
  int compared = 0;
  for (const hid_t type : stored_types()) {
    const std::optional<NumberType> number = number_type(type);
    ASSERT_TRUE(number);
    const size_t bytes = H5Tget_size(type);
    const std::vector<std::byte> values = samples(type, bytes);
    const size_t count = values.size() / bytes;
    for (const DType dtype : kAll) {
      const Convert convert = conversion(*number, dtype);
      if (convert == nullptr) continue;
      ++compared;
      const size_t out_bytes = size_of(dtype);
      std::vector<std::byte> expected(count * std::max(bytes, out_bytes));
      std::memcpy(expected.data(), values.data(), values.size());
      // By way of the same type in this machine's order: straight from big-endian values, libhdf5 1.10 wraps
      // uint32 to int32 and uint64 to int64 where it limits little-endian ones, and rounds subnormal floats
      // down.
      const Id native(H5Tcopy(type));
      H5Tset_order(native.get(), H5T_ORDER_LE);
      ASSERT_GE(H5Tconvert(type, native.get(), count, expected.data(), nullptr, H5P_DEFAULT), 0);
      ASSERT_GE(H5Tconvert(native.get(), memory_type(dtype), count, expected.data(), nullptr, H5P_DEFAULT),
                0);
      // Neither end is aligned.
      std::vector<std::byte> in(values.size() + 1), out(count * out_bytes + 1);
      std::memcpy(in.data() + 1, values.data(), values.size());
      convert(in.data() + 1, count, out.data() + 1);
      int differing = 0;
      for (size_t i = 0; i < count && differing < 3; ++i) {
        const std::byte *found = out.data() + 1 + i * out_bytes, *wanted = expected.data() + i * out_bytes;
        if (std::memcmp(found, wanted, out_bytes) == 0) continue;
        if (is_nan(found, dtype) && is_nan(wanted, dtype)) continue;
        ++differing;
        uint64_t a = 0, b = 0, from = 0;
        std::memcpy(&a, found, out_bytes);
        std::memcpy(&b, wanted, out_bytes);
        std::memcpy(&from, values.data() + i * bytes, bytes);
        ADD_FAILURE() << "number " << static_cast<int>(number->number) << (number->big_endian ? " BE" : " LE")
                      << " to " << to_string(dtype) << ": " << std::hex << from << " gives " << a << " not "
                      << b;
      }
    }
  }
  // To any of 5 types from 14 types of integers, to 2 from 8 of floats, and 4 of 16 bits to their own.
  EXPECT_EQ(compared, 14 * 5 + 8 * 2 + 4);
}

TEST(Convert, TakesNoPointersIfThereAreNoNumbers) {
  conversion({Number::f32, false}, DType::f32)(nullptr, 0, nullptr);
  conversion({Number::u16, true}, DType::f64)(nullptr, 0, nullptr);
}

TEST(Convert, LeavesOtherNumbersToLibhdf5) {
  const Lock lock;
  const Id narrow(H5Tcopy(H5T_STD_I32LE)), odd(H5Tcopy(H5T_STD_U32LE)), wide(H5Tcopy(H5T_NATIVE_LDOUBLE));
  H5Tset_precision(narrow.get(), 20);
  H5Tset_size(odd.get(), 3);
  const Id vax(H5Tcopy(H5T_VAX_F32));
  for (const hid_t type : {narrow.get(), odd.get(), wide.get(), vax.get(), hid_t{H5T_C_S1}})
    EXPECT_FALSE(number_type(type));
  EXPECT_EQ(conversion({Number::f32, false}, DType::i32), nullptr);
  EXPECT_EQ(conversion({Number::f32, false}, DType::f16), nullptr);
  EXPECT_EQ(conversion({Number::i32, false}, DType::f16), nullptr);
  const Id boolean(H5Tenum_create(H5T_NATIVE_INT8));
  const int8_t one = 1;
  H5Tenum_insert(boolean.get(), "TRUE", &one);
  ASSERT_TRUE(number_type(boolean.get()));
  EXPECT_EQ(number_type(boolean.get())->number, Number::i8);
}

}  // namespace
}  // namespace lockstep::hdf5
