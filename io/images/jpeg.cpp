#include "io/images/image.h"

#if LOCKSTEP_HAS_JPEG

#include <fmt/format.h>

#include <array>
#include <csetjmp>
#include <cstdio>
#include <vector>
// After cstdio, which it needs.
#include <jerror.h>
#include <jpeglib.h>

namespace lockstep::images {

namespace {

/// libjpeg reports an error through a function that must not return. It jumps back over frames of C only, to
/// functions that own nothing.
struct JpegDecoder {
  jpeg_decompress_struct info;
  jpeg_error_mgr errors;
  jpeg_progress_mgr progress;
  std::jmp_buf back;
  std::array<char, JMSG_LENGTH_MAX> message;
};

// A progressive image may claim any number of scans over all of its pixels, each of a few bytes.
constexpr int kMaxScans = 200;

[[noreturn]] void jump_from_jpeg(j_common_ptr info) {
  auto* decoder = static_cast<JpegDecoder*>(info->client_data);
  info->err->format_message(info, decoder->message.data());
  std::longjmp(decoder->back, 1);
}

void limit_scans(j_common_ptr info) {
  auto* decompress = reinterpret_cast<j_decompress_ptr>(info);
  if (decompress->input_scan_number <= kMaxScans) return;
  auto* decoder = static_cast<JpegDecoder*>(info->client_data);
  std::snprintf(decoder->message.data(), decoder->message.size(), "more than %d scans", kMaxScans);
  std::longjmp(decoder->back, 1);
}

/// A warning means damaged or missing data, for which libjpeg would make something up; except for bytes
/// between two parts, which some writers leave.
void refuse_warnings(j_common_ptr info, int level) {
  if (level < 0 && info->err->msg_code != JWRN_EXTRANEOUS_DATA) jump_from_jpeg(info);
}

/// Prepares a decoder and reads the header. A jump back to the caller's setjmp() may follow.
void start_jpeg(JpegDecoder& decoder, std::span<const std::byte> bytes) {
  jpeg_create_decompress(&decoder.info);
  decoder.info.progress = &decoder.progress;
  jpeg_mem_src(&decoder.info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_read_header(&decoder.info, TRUE);
  decoder.info.out_color_space = decoder.info.num_components == 1   ? JCS_GRAYSCALE
                                 : decoder.info.num_components == 4 ? JCS_CMYK
                                                                    : JCS_RGB;
}

void set_jpeg_errors(JpegDecoder& decoder) {
  decoder.info.err = jpeg_std_error(&decoder.errors);
  decoder.info.client_data = &decoder;
  decoder.errors.error_exit = jump_from_jpeg;
  decoder.errors.emit_message = refuse_warnings;
  decoder.progress.progress_monitor = limit_scans;
}

/// Whether it succeeded; else decoder.message says why.
[[gnu::noinline]] bool read_jpeg_header(JpegDecoder& decoder, std::span<const std::byte> bytes) {
  if (setjmp(decoder.back) != 0) return false;
  start_jpeg(decoder, bytes);
  return true;
}

[[gnu::noinline]] bool read_jpeg_pixels(JpegDecoder& decoder, std::span<std::byte> out) {
  if (setjmp(decoder.back) != 0) return false;
  jpeg_start_decompress(&decoder.info);
  const size_t row =
      static_cast<size_t>(decoder.info.output_width) * static_cast<size_t>(decoder.info.output_components);
  if (row * decoder.info.output_height != out.size()) return false;
  while (decoder.info.output_scanline < decoder.info.output_height) {
    JSAMPROW line = reinterpret_cast<JSAMPROW>(out.data() + row * decoder.info.output_scanline);
    jpeg_read_scanlines(&decoder.info, &line, 1);
  }
  jpeg_finish_decompress(&decoder.info);
  return true;
}

[[noreturn]] void fail_jpeg(JpegDecoder& decoder) {
  const BadImage error(fmt::format("its JPEG data is damaged: {}", decoder.message.data()));
  jpeg_destroy_decompress(&decoder.info);
  throw error;
}

Size jpeg_size_in(const JpegDecoder& decoder, Unusual unusual) {
  const int components = decoder.info.num_components;
  if (components != 1 && components != 3 && !(components == 4 && unusual == Unusual::convert))
    throw BadImage(fmt::format("it is a JPEG of {} components; gray and RGB are supported", components));
  require_possible({decoder.info.image_height, decoder.info.image_width, components});
  return {decoder.info.image_height, decoder.info.image_width, components == 1 ? 1 : 3};
}

/// Four values a pixel, each inverted, to three.
void rgb_of_cmyk(std::span<const std::byte> cmyk, std::span<std::byte> rgb) {
  for (size_t pixel = 0; pixel < cmyk.size() / 4; ++pixel) {
    const auto black = std::to_integer<unsigned>(cmyk[4 * pixel + 3]);
    for (size_t c = 0; c < 3; ++c)
      rgb[3 * pixel + c] =
          static_cast<std::byte>((std::to_integer<unsigned>(cmyk[4 * pixel + c]) * black + 127) / 255);
  }
}

}  // namespace

Size size_of_jpeg(std::span<const std::byte> bytes, Unusual unusual) {
  JpegDecoder decoder{};
  set_jpeg_errors(decoder);
  if (!read_jpeg_header(decoder, bytes)) fail_jpeg(decoder);
  jpeg_destroy_decompress(&decoder.info);
  return jpeg_size_in(decoder, unusual);
}

void decode_jpeg(std::span<const std::byte> bytes, const Size& size, std::span<std::byte> out, Unusual) {
  JpegDecoder decoder{};
  set_jpeg_errors(decoder);
  if (!read_jpeg_header(decoder, bytes)) fail_jpeg(decoder);
  const bool is_cmyk = decoder.info.num_components == 4;
  std::vector<std::byte> cmyk(is_cmyk ? out.size() / 3 * 4 : 0);
  const bool is_expected = decoder.info.image_height == size.height &&
                           decoder.info.image_width == size.width &&
                           (is_cmyk ? 3 : decoder.info.num_components) == size.channels;
  if (!is_expected || !read_jpeg_pixels(decoder, is_cmyk ? std::span(cmyk) : out)) fail_jpeg(decoder);
  jpeg_destroy_decompress(&decoder.info);
  if (is_cmyk) rgb_of_cmyk(cmyk, out);
}

}  // namespace lockstep::images

#else

namespace lockstep::images {

Size size_of_jpeg(std::span<const std::byte>, Unusual) {
  throw BadImage("it is a JPEG, and this program was built without libjpeg (libjpeg62-turbo-dev)");
}

void decode_jpeg(std::span<const std::byte> bytes, const Size&, std::span<std::byte>, Unusual unusual) {
  size_of_jpeg(bytes, unusual);
}

}  // namespace lockstep::images

#endif
