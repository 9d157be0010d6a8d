#include "io/images/image.h"

#if LOCKSTEP_HAS_PNG

#include <fmt/format.h>
#include <png.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstring>
#include <vector>

namespace lockstep::images {

namespace {

/// libpng reports an error through a function that must not return. It jumps back over frames of C only, to
/// functions that own nothing.
struct PngDecoder {
  png_structp png;
  png_infop info;
  std::jmp_buf back;
  std::array<char, 200> message;
  const std::byte* next;
  size_t left;
};

[[noreturn]] void jump_from_png(png_structp png, png_const_charp message) {
  auto* decoder = static_cast<PngDecoder*>(png_get_error_ptr(png));
  std::strncpy(decoder->message.data(), message, decoder->message.size() - 1);
  std::longjmp(decoder->back, 1);
}

// Of what an image of any program may contain, such as color profiles; damaged pixels are errors.
void pass_over(png_structp, png_const_charp) {}

void give_bytes(png_structp png, png_bytep out, png_size_t count) {
  auto* decoder = static_cast<PngDecoder*>(png_get_io_ptr(png));
  if (count > decoder->left) png_error(png, "it ends before its pixels do");
  std::memcpy(out, decoder->next, count);
  decoder->next += count;
  decoder->left -= count;
}

/// Whether it succeeded; else decoder.message says why.
[[gnu::noinline]] bool read_png_header(PngDecoder& decoder, std::span<const std::byte> bytes) {
  decoder.next = bytes.data();
  decoder.left = bytes.size();
  decoder.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &decoder, jump_from_png, pass_over);
  if (decoder.png == nullptr || setjmp(decoder.back) != 0) return false;
  decoder.info = png_create_info_struct(decoder.png);
  if (decoder.info == nullptr) return false;
  // Text and profiles may be compressed bombs; nothing needs them.
  png_set_keep_unknown_chunks(decoder.png, PNG_HANDLE_CHUNK_NEVER, nullptr, 0);
  png_set_chunk_malloc_max(decoder.png, png_alloc_size_t{8} << 20);
  png_set_chunk_cache_max(decoder.png, 128);
  png_set_read_fn(decoder.png, &decoder, give_bytes);
  png_read_info(decoder.png, decoder.info);
  return true;
}

/// Makes gray, RGB or either with alpha of 8 bits of what is stored.
[[gnu::noinline]] bool prepare_png(PngDecoder& decoder) {
  if (setjmp(decoder.back) != 0) return false;
  png_set_expand(decoder.png);    // palettes, 1 to 4 bits, and transparent colors as alpha
  png_set_scale_16(decoder.png);  // if there are 16 bits
  png_set_interlace_handling(decoder.png);
  png_read_update_info(decoder.png, decoder.info);
  return true;
}

[[gnu::noinline]] bool read_png_pixels(PngDecoder& decoder, png_bytep* rows) {
  if (setjmp(decoder.back) != 0) return false;
  png_read_image(decoder.png, rows);
  png_read_end(decoder.png, nullptr);
  return true;
}

void destroy_png(PngDecoder& decoder) { png_destroy_read_struct(&decoder.png, &decoder.info, nullptr); }

[[noreturn]] void fail_png(PngDecoder& decoder) {
  const BadImage error(fmt::format("its PNG data is damaged: {}", decoder.message.data()));
  destroy_png(decoder);
  throw error;
}

/// The size as it is decoded. Destroys the decoder if it throws.
Size open_png(PngDecoder& decoder, std::span<const std::byte> bytes, Unusual unusual) {
  if (!read_png_header(decoder, bytes)) fail_png(decoder);
  try {
    if (unusual == Unusual::refuse && png_get_bit_depth(decoder.png, decoder.info) == 16)
      throw BadImage("it is a PNG of 16 bits a channel; 8 are supported");
    // Before libpng allocates a row.
    require_possible(
        {png_get_image_height(decoder.png, decoder.info), png_get_image_width(decoder.png, decoder.info), 4});
  } catch (...) {
    destroy_png(decoder);
    throw;
  }
  if (!prepare_png(decoder)) fail_png(decoder);
  return {png_get_image_height(decoder.png, decoder.info), png_get_image_width(decoder.png, decoder.info),
          png_get_channels(decoder.png, decoder.info)};
}

}  // namespace

Size size_of_png(std::span<const std::byte> bytes, Unusual unusual) {
  PngDecoder decoder{};
  const Size size = open_png(decoder, bytes, unusual);
  destroy_png(decoder);
  return size;
}

void decode_png(std::span<const std::byte> bytes, const Size& size, std::span<std::byte> out,
                Unusual unusual) {
  std::vector<png_bytep> rows;
  for (int64_t row = 0; row < size.height; ++row)
    rows.push_back(reinterpret_cast<png_bytep>(out.data() + row * size.width * size.channels));
  PngDecoder decoder{};
  const Size found = open_png(decoder, bytes, unusual);
  const bool is_expected = found == size && png_get_rowbytes(decoder.png, decoder.info) ==
                                                static_cast<size_t>(size.width * size.channels);
  if (!is_expected || !read_png_pixels(decoder, rows.data())) fail_png(decoder);
  destroy_png(decoder);
}

}  // namespace lockstep::images

#else

namespace lockstep::images {

Size size_of_png(std::span<const std::byte>, Unusual) {
  throw BadImage("it is a PNG, and this program was built without libpng (libpng-dev)");
}

void decode_png(std::span<const std::byte> bytes, const Size&, std::span<std::byte>, Unusual unusual) {
  size_of_png(bytes, unusual);
}

}  // namespace lockstep::images

#endif
