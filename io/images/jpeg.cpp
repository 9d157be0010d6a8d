#include "io/images/image.h"

#if LOCKSTEP_HAS_JPEG

#include <fmt/format.h>

#include <array>
#include <csetjmp>
#include <cstdio>
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
  decoder.info.out_color_space = decoder.info.num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
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

Size jpeg_size_in(const JpegDecoder& decoder) {
  const int components = decoder.info.num_components;
  if (components != 1 && components != 3)
    throw BadImage(fmt::format("it is a JPEG of {} components; gray and RGB are supported", components));
  const Size size{decoder.info.image_height, decoder.info.image_width, components};
  require_possible(size);
  return size;
}

}  // namespace

Size size_of_jpeg(std::span<const std::byte> bytes) {
  JpegDecoder decoder{};
  set_jpeg_errors(decoder);
  if (!read_jpeg_header(decoder, bytes)) fail_jpeg(decoder);
  jpeg_destroy_decompress(&decoder.info);
  return jpeg_size_in(decoder);
}

void decode_jpeg(std::span<const std::byte> bytes, const Size& size, std::span<std::byte> out) {
  JpegDecoder decoder{};
  set_jpeg_errors(decoder);
  if (!read_jpeg_header(decoder, bytes)) fail_jpeg(decoder);
  const bool is_expected = decoder.info.image_height == size.height &&
                           decoder.info.image_width == size.width &&
                           decoder.info.num_components == size.channels;
  if (!is_expected || !read_jpeg_pixels(decoder, out)) fail_jpeg(decoder);
  jpeg_destroy_decompress(&decoder.info);
}

}  // namespace lockstep::images

#else

namespace lockstep::images {

Size size_of_jpeg(std::span<const std::byte>) {
  throw BadImage("it is a JPEG, and this program was built without libjpeg (libjpeg62-turbo-dev)");
}

void decode_jpeg(std::span<const std::byte> bytes, const Size&, std::span<std::byte>) { size_of_jpeg(bytes); }

}  // namespace lockstep::images

#endif
