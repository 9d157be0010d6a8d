#include "io/images/image.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "src/core/error.h"

namespace lockstep::images {

namespace {

constexpr int64_t kMaxValues = int64_t{1} << 26;

template <size_t N>
bool begins_with(std::span<const std::byte> bytes, const std::array<uint8_t, N>& mark) {
  return bytes.size() >= N && std::ranges::equal(bytes.first(N), mark, {}, [](std::byte byte) {
           return std::to_integer<uint8_t>(byte);
         });
}

}  // namespace

Format format_of(std::span<const std::byte> bytes) {
  if (begins_with(bytes, std::array<uint8_t, 3>{0xFF, 0xD8, 0xFF})) return Format::jpeg;
  if (begins_with(bytes, std::array<uint8_t, 8>{0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'}))
    return Format::png;
  return Format::none;
}

std::string to_string(const Size& size) {
  return fmt::format("{} x {}, {} channel{}", size.height, size.width, size.channels,
                     size.channels == 1 ? "" : "s");
}

void require_possible(const Size& size) {
  if (size.height < 1 || size.width < 1 || size.channels < 1 || size.height > kMaxValues ||
      size.width > kMaxValues / size.height / size.channels)
    throw BadImage(fmt::format("it claims a size of {}", to_string(size)));
}

Size size_of(std::span<const std::byte> bytes, Unusual unusual) {
  switch (format_of(bytes)) {
    case Format::jpeg:
      return size_of_jpeg(bytes, unusual);
    case Format::png:
      return size_of_png(bytes, unusual);
    case Format::none:
      break;
  }
  throw BadImage(bytes.empty() ? "it is empty" : "it is neither JPEG nor PNG");
}

void decode(std::span<const std::byte> bytes, const Size& size, std::span<std::byte> out, Unusual unusual) {
  INVARIANT(out.size() == static_cast<size_t>(size.height * size.width * size.channels), "{} bytes for {}",
            out.size(), to_string(size));
  if (const Size found = size_of(bytes, unusual); !(found == size))
    throw BadImage(fmt::format("its size is {}", to_string(found)));
  return format_of(bytes) == Format::jpeg ? decode_jpeg(bytes, size, out, unusual)
                                          : decode_png(bytes, size, out, unusual);
}

}  // namespace lockstep::images
