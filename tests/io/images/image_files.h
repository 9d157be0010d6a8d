#pragma once

#if __has_include(<jpeglib.h>) && __has_include(<png.h>)
#define LOCKSTEP_TEST_IMAGES 1

#include <png.h>

#include <cstdio>
#include <cstdlib>
#include <vector>
// After cstdio, which it needs.
#include <jpeglib.h>

#include "io/images/image.h"

namespace lockstep {

/// A smooth image, as JPEG stores it well: (height, width, channels).
inline std::vector<std::byte> smooth_image(const images::Size& size, int seed = 0) {
  std::vector<std::byte> pixels;
  for (int64_t y = 0; y < size.height; ++y)
    for (int64_t x = 0; x < size.width; ++x)
      for (int64_t c = 0; c < size.channels; ++c)
        pixels.push_back(static_cast<std::byte>((40 + 3 * y + 2 * x + 20 * c + 10 * seed) % 200));
  return pixels;
}

inline std::vector<std::byte> to_jpeg(const images::Size& size, std::vector<std::byte> pixels,
                                      bool progressive = false) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* out = nullptr;
  unsigned long bytes = 0;
  jpeg_mem_dest(&info, &out, &bytes);
  info.image_height = static_cast<JDIMENSION>(size.height);
  info.image_width = static_cast<JDIMENSION>(size.width);
  info.input_components = static_cast<int>(size.channels);
  info.in_color_space = size.channels == 1 ? JCS_GRAYSCALE : size.channels == 3 ? JCS_RGB : JCS_CMYK;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, 95, TRUE);
  if (progressive) jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  for (int64_t y = 0; y < size.height; ++y) {
    auto* row = reinterpret_cast<JSAMPROW>(pixels.data() + y * size.width * size.channels);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  const auto* begin = reinterpret_cast<const std::byte*>(out);
  std::vector<std::byte> file(begin, begin + bytes);
  std::free(out);
  return file;
}

inline std::vector<std::byte> to_png(const images::Size& size, const std::vector<std::byte>& pixels,
                                     int bits = 8, bool interlaced = false) {
  constexpr int kTypes[] = {0, PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB,
                            PNG_COLOR_TYPE_RGB_ALPHA};
  std::vector<std::byte> file;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &file,
      [](png_structp to, png_bytep bytes, png_size_t count) {
        const auto* begin = reinterpret_cast<const std::byte*>(bytes);
        auto* out = static_cast<std::vector<std::byte>*>(png_get_io_ptr(to));
        out->insert(out->end(), begin, begin + count);
      },
      nullptr);
  png_set_IHDR(png, info, static_cast<png_uint_32>(size.width), static_cast<png_uint_32>(size.height), bits,
               kTypes[size.channels], interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);
  std::vector<png_bytep> rows;
  std::vector<std::byte> copy = pixels;
  for (int64_t y = 0; y < size.height; ++y)
    rows.push_back(reinterpret_cast<png_bytep>(copy.data() + y * size.width * size.channels * bits / 8));
  png_write_image(png, rows.data());
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return file;
}

}  // namespace lockstep

#endif
