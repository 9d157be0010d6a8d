#include <algorithm>

#include "io/dataset/column.h"

namespace lockstep {

namespace {

/// Position of the first value whose exponent is all ones (NaN or infinity), or -1.
template <typename Word>
int64_t first_not_finite(const std::byte* bytes, int64_t count, Word exponent_mask) {
  const Word* words = reinterpret_cast<const Word*>(bytes);
  // In pieces: the first loop has no exit, so that it vectorizes, and the second searches one piece only.
  for (int64_t begin = 0; begin < count; begin += 1024) {
    const int64_t end = std::min(count, begin + 1024);
    int bad = 0;
    for (int64_t i = begin; i < end; ++i) bad |= (words[i] & exponent_mask) == exponent_mask ? 1 : 0;
    if (bad == 0) continue;
    for (int64_t i = begin; i < end; ++i)
      if ((words[i] & exponent_mask) == exponent_mask) return i;
  }
  return -1;
}

}  // namespace

void require_finite(const Column& column, const std::byte* rows, int64_t first, int64_t count) {
  const int64_t row_values = column.row_shape().elements();
  int64_t at = -1;
  switch (column.dtype()) {
    case DType::f16:
      at = first_not_finite<uint16_t>(rows, count * row_values, 0x7C00);
      break;
    case DType::f32:
      at = first_not_finite<uint32_t>(rows, count * row_values, 0x7F800000u);
      break;
    case DType::f64:
      at = first_not_finite<uint64_t>(rows, count * row_values, 0x7FF0000000000000ull);
      break;
    default:
      return;
  }
  if (at < 0) return;
  // Which number means a missing value, for example.
  std::string notes;
  for (const std::string& note : column.notes()) notes += fmt::format(" {}.", note);
  fail(ExitCode::data,
       "{} holds NaN or infinity (value {} of the sample).{} Remove or repair such samples: training on them "
       "never recovers. If NaN means a missing value of x, data.missing = NUMBER replaces it.",
       column.where(first + at / row_values), at % row_values, notes);
}

}  // namespace lockstep
