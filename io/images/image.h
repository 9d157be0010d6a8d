#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>

/// Decoders for images in memory, by libjpeg and libpng. Bounded: nothing is decoded before its size is known
/// to be that expected. Thread-safe.
namespace lockstep::images {

/// What is wrong with an image, as the end of a sentence: "its JPEG data is damaged: ...".
struct BadImage : std::runtime_error {
  using std::runtime_error::runtime_error;
};

enum class Format { none, jpeg, png };

/// By the first bytes; none: something else.
Format format_of(std::span<const std::byte> bytes);

struct Size {
  int64_t height = 0, width = 0;
  int64_t channels = 0;  ///< 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha

  bool operator==(const Size&) const = default;
};

/// "224 x 224, 3 channels".
std::string to_string(const Size& size);

/// What to do with images whose values cannot be delivered as they are stored: a PNG of 16 bits a channel is
/// rounded to 8, and a JPEG of CMYK (inverted, as Adobe's programs write it) becomes RGB.
enum class Unusual { refuse, convert };

/// The size of an image, as it is decoded, by its header alone; the bytes behind it may be missing. Throws
/// BadImage for a damaged header, a format that this program was built without, images that are unusual, and
/// more than 2^26 values.
Size size_of(std::span<const std::byte> bytes, Unusual unusual = Unusual::refuse);

/// Decodes an image into out, (height, width, channels) bytes. Throws BadImage if it is of another size, or
/// its data is damaged or incomplete.
void decode(std::span<const std::byte> bytes, const Size& size, std::span<std::byte> out,
            Unusual unusual = Unusual::refuse);

// One format each, with the same contracts; declared whether or not the program is built with it.
Size size_of_jpeg(std::span<const std::byte> bytes, Unusual unusual);
void decode_jpeg(std::span<const std::byte> bytes, const Size& size, std::span<std::byte> out,
                 Unusual unusual);
Size size_of_png(std::span<const std::byte> bytes, Unusual unusual);
void decode_png(std::span<const std::byte> bytes, const Size& size, std::span<std::byte> out,
                Unusual unusual);

/// Throws BadImage for a size that is not supported.
void require_possible(const Size& size);

}  // namespace lockstep::images
