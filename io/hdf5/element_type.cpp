#include "io/hdf5/element_type.h"

namespace lockstep::hdf5 {

namespace {

/// A float type with the given fields; HDF5 1.10 has none of 16 bits built in.
hid_t float_type(size_t bytes, size_t exponent_bits, size_t mantissa_bits, size_t bias) {
  const hid_t type = H5Tcopy(H5T_IEEE_F32LE);
  H5Tset_fields(type, mantissa_bits + exponent_bits, mantissa_bits, exponent_bits, 0, mantissa_bits);
  H5Tset_ebias(type, bias);
  H5Tset_size(type, bytes);
  return type;
}

const char* class_name(H5T_class_t type_class) {
  switch (type_class) {
    case H5T_STRING:
      return "string";
    case H5T_COMPOUND:
      return "compound";
    case H5T_REFERENCE:
      return "reference";
    case H5T_VLEN:
      return "variable-length";
    case H5T_OPAQUE:
      return "opaque";
    case H5T_ARRAY:
      return "array";
    case H5T_TIME:
      return "time";
    default:
      return "unknown";
  }
}

/// "complex64" for the compound of two floats r and i that h5py and others write complex numbers as, or real
/// and imag, as MATLAB does; else "compound".
std::string compound_name(hid_t type) {
  const auto has_parts = [&](const char* first, const char* second) {
    return H5Tget_member_index(type, first) == 0 && H5Tget_member_index(type, second) == 1;
  };
  if (H5Tget_nmembers(type) != 2 || (!has_parts("r", "i") && !has_parts("real", "imag"))) return "compound";
  const bool are_floats =
      H5Tget_member_class(type, 0) == H5T_FLOAT && H5Tget_member_class(type, 1) == H5T_FLOAT;
  return are_floats ? fmt::format("complex{}", 8 * H5Tget_size(type)) : "compound";
}

}  // namespace

ElementType element_type(hid_t type) {
  ElementType result;
  const H5T_class_t type_class = H5Tget_class(type);
  result.bytes = H5Tget_size(type);
  result.big_endian = H5Tget_order(type) == H5T_ORDER_BE;
  // An enumeration (h5py's booleans are one) is read as the integers below it, a bit field as one without
  // sign.
  if (type_class == H5T_INTEGER || type_class == H5T_ENUM || type_class == H5T_BITFIELD) {
    const Id base(type_class == H5T_ENUM ? H5Tget_super(type) : H5Tcopy(type));
    result.kind = ElementType::Kind::integer;
    result.big_endian = H5Tget_order(base.get()) == H5T_ORDER_BE;
    result.is_signed = type_class != H5T_BITFIELD && H5Tget_sign(base.get()) == H5T_SGN_2;
    result.name = fmt::format("{}int{}", result.is_signed ? "" : "u", 8 * result.bytes);
    if (H5Tget_precision(base.get()) == 8 * result.bytes) {
      if (!result.is_signed && result.bytes == 1) result.exact = DType::u8;
      if (result.is_signed && result.bytes == 4) result.exact = DType::i32;
      if (result.is_signed && result.bytes == 8) result.exact = DType::i64;
    }
  } else if (type_class == H5T_FLOAT) {
    result.kind = ElementType::Kind::floating;
    result.is_signed = true;
    size_t sign = 0, exponent = 0, exponent_bits = 0, mantissa = 0, mantissa_bits = 0;
    H5Tget_fields(type, &sign, &exponent, &exponent_bits, &mantissa, &mantissa_bits);
    result.name = fmt::format("float{}", 8 * result.bytes);
    if (result.bytes == 2 && exponent_bits == 5 && mantissa_bits == 10) result.exact = DType::f16;
    if (result.bytes == 2 && exponent_bits == 8 && mantissa_bits == 7) result.exact = DType::bf16;
    if (result.bytes == 4 && exponent_bits == 8 && mantissa_bits == 23) result.exact = DType::f32;
    if (result.bytes == 8 && exponent_bits == 11 && mantissa_bits == 52) result.exact = DType::f64;
    if (result.exact) result.name = to_string(*result.exact);
    // Of bit fields that use some of their bits, libhdf5 converts none.
    if (type_class == H5T_BITFIELD && H5Tget_precision(type) != 8 * result.bytes) {
      result.kind = ElementType::Kind::other;
      result.name = "bit field";
      return result;
    }
  } else {
    result.name = type_class == H5T_COMPOUND ? compound_name(type) : class_name(type_class);
#if H5_VERSION_GE(2, 0, 0)
    if (type_class == H5T_COMPLEX) result.name = fmt::format("complex{}", 8 * result.bytes);
#endif
    return result;
  }
  if (result.big_endian && result.bytes > 1) result.name += " (big-endian)";
  return result;
}

hid_t memory_type(DType dtype) {
  const Lock lock;
  static const hid_t half = float_type(2, 5, 10, 15);
  static const hid_t bfloat = float_type(2, 8, 7, 127);
  switch (dtype) {
    case DType::u8:
      return H5T_NATIVE_UINT8;
    case DType::i32:
      return H5T_NATIVE_INT32;
    case DType::i64:
      return H5T_NATIVE_INT64;
    case DType::f16:
      return half;
    case DType::bf16:
      return bfloat;
    case DType::f32:
      return H5T_NATIVE_FLOAT;
    case DType::f64:
      return H5T_NATIVE_DOUBLE;
  }
  return H5I_INVALID_HID;
}

}  // namespace lockstep::hdf5
