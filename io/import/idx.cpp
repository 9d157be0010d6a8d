#include "io/import/idx.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <system_error>

#include "src/core/error.h"

namespace lockstep {
namespace {

/// zlib's reader, which passes a file that is not gzipped through unchanged.
class GzipFile {
 public:
  explicit GzipFile(const std::string& path) : path_(path), file_(gzopen(path.c_str(), "rbe"), gzclose) {
    if (!file_)
      fail(ExitCode::data, "{}: cannot open it: {}.", path,
           std::generic_category().message(errno != 0 ? errno : ENOMEM));
  }

  /// Reads up to `count` bytes; fewer only at the end of the file.
  size_t read(void* destination, size_t count) {
    const int got = gzread(file_.get(), destination, static_cast<unsigned>(count));
    int status = Z_OK;
    const char* message = gzerror(file_.get(), &status);
    // Z_BUF_ERROR is a gzip stream that ends in the middle.
    if (got < 0 || status == Z_BUF_ERROR || status == Z_DATA_ERROR)
      fail(ExitCode::data, "{}: damaged or cut short ({}). Fetch the file again.", path_,
           status == Z_ERRNO ? std::generic_category().message(errno) : message);
    return static_cast<size_t>(got);
  }

  /// Of the file, which may be compressed.
  int64_t bytes_read() const { return gzoffset(file_.get()); }

 private:
  std::string path_;
  std::unique_ptr<gzFile_s, decltype(&gzclose)> file_;
};

uint32_t read_big_endian(GzipFile& file, const std::string& path) {
  std::array<uint8_t, 4> bytes{};
  if (file.read(bytes.data(), bytes.size()) != bytes.size())
    fail(ExitCode::data, "{}: ends within its header. Fetch the file again.", path);
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | bytes[3];
}

}  // namespace

IdxArray read_idx(const std::string& path, int rank, const std::function<void(int64_t bytes)>& progress) {
  GzipFile file(path);
  const uint32_t magic = read_big_endian(file, path);
  const uint32_t expected = 0x0800u + static_cast<uint32_t>(rank);
  if (magic != expected)
    fail(ExitCode::data,
         "{}: not an idx file of unsigned bytes with {} axes: it begins with 0x{:08x}, not 0x{:08x}.", path,
         rank, magic, expected);

  std::vector<int64_t> extents;
  size_t total = 1;
  for (int axis = 0; axis < rank; ++axis) {
    extents.push_back(read_big_endian(file, path));
    if (__builtin_mul_overflow(total, static_cast<size_t>(extents.back()), &total))
      fail(ExitCode::data,
           "{}: its header is damaged: the extents it names multiply to more than memory holds.", path);
  }

  // Memory grows with the bytes actually read, not with what a damaged header claims.
  IdxArray array{Shape(extents), {}};
  constexpr size_t kBlock = size_t{4} << 20;
  while (array.elements.size() < total) {
    const size_t begin = array.elements.size();
    array.elements.resize(begin + std::min(kBlock, total - begin));
    const size_t got = file.read(array.elements.data() + begin, array.elements.size() - begin);
    if (got < array.elements.size() - begin)
      fail(ExitCode::data,
           "{}: cut short: its header says {} of unsigned bytes, but only {} of {} bytes follow.", path,
           to_string(array.shape), begin + got, total);
    if (progress) progress(file.bytes_read());
  }
  uint8_t extra = 0;
  if (file.read(&extra, 1) != 0)
    fail(ExitCode::data, "{}: longer than the {} of unsigned bytes that its header says.", path,
         to_string(array.shape));
  return array;
}

}  // namespace lockstep
