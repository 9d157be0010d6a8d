#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace lockstep {

/// What the header of NumPy's .npy format says (numpy.lib.format, versions 1.0 to 3.0).
struct NpyHeader {
  char kind = 0;  ///< 'b' boolean, 'i' and 'u' integers, 'f' floating point, 'c' complex
  int64_t element_bytes = 0;
  bool big_endian = false;
  bool fortran_order = false;  ///< whether the first axis varies fastest
  std::vector<int64_t> shape;
  int64_t data_begin = 0;  ///< offset of the elements

  int64_t elements() const;
  int64_t data_bytes() const { return elements() * element_bytes; }
  /// "float32 (60000, 28, 28)".
  std::string text() const;
};

/// Bytes that hold any header that is read here.
inline constexpr int64_t kMaxNpyHeaderBytes = 64 << 10;

/// Parses a header, a literal of a Python dictionary, without evaluating it. begin: the first bytes of the
/// array, kMaxNpyHeaderBytes or all there are. where: its name, for errors. Throws Error(data), also for
/// elements that are not numbers, such as Python objects, and floats of more than 64 bits, with what to do.
NpyHeader parse_npy_header(std::span<const std::byte> begin, const std::string& where);

}  // namespace lockstep
