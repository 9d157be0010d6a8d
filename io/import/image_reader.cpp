#include "io/import/image_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "io/file/read_at.h"
#include "io/images/exif.h"
#include "src/core/error.h"
#include "src/core/text/readable_bytes.h"

namespace lockstep {

namespace {

using images::BadImage;
using images::Unusual;

/// A file open for reading.
class ImageFile {
 public:
  explicit ImageFile(const std::string& path) : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    struct stat status {};
    if (descriptor_ < 0 || ::fstat(descriptor_, &status) != 0)
      throw BadImage(fmt::format("it cannot be read: {}", std::strerror(errno)));
    bytes_ = status.st_size;
  }
  ~ImageFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  ImageFile(const ImageFile&) = delete;
  ImageFile& operator=(const ImageFile&) = delete;

  int64_t bytes() const { return bytes_; }

  /// The first `limit` bytes, or all.
  std::vector<std::byte> read(int64_t limit) const {
    std::vector<std::byte> content(static_cast<size_t>(std::min(limit, bytes_)));
    if (const std::string error = read_at(descriptor_, 0, content); !error.empty())
      throw BadImage("it cannot be read: " + error);
    return content;
  }

  std::vector<std::byte> read_all() const {
    constexpr int64_t kMaxBytes = int64_t{512} << 20;  // more than any image of the size that is supported
    if (bytes_ > kMaxBytes) throw BadImage(fmt::format("it has {}", readable_bytes(bytes_)));
    return read(bytes_);
  }

 private:
  int descriptor_;
  int64_t bytes_ = 0;
};

ImageHeader header_in(std::span<const std::byte> content, int64_t file_bytes) {
  const images::Size stored = images::size_of(content, Unusual::convert);
  const int orientation =
      images::format_of(content) == images::Format::jpeg ? images::exif_orientation(content) : 1;
  return {images::oriented(stored, orientation), orientation, file_bytes};
}

}  // namespace

ImageHeader read_image_header(const std::string& path) {
  constexpr int64_t kFirstBytes = int64_t{64} << 10;
  const ImageFile file(path);
  try {
    return header_in(file.read(kFirstBytes), file.bytes());
  } catch (const BadImage&) {
    // Previews and profiles may come before the size.
    if (file.bytes() <= kFirstBytes) throw;
  }
  return header_in(file.read_all(), file.bytes());
}

images::Pixels read_image(const std::string& path, const ImageHeader& header, int64_t channels) {
  const std::vector<std::byte> content = ImageFile(path).read_all();
  images::Pixels image{images::oriented(header.size, header.orientation), {}};
  image.values.resize(static_cast<size_t>(image.size.height * image.size.width * image.size.channels));
  images::decode(content, image.size, image.values, Unusual::convert);
  return images::oriented(images::with_channels(std::move(image), channels), header.orientation);
}

}  // namespace lockstep
