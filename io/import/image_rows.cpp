#include "io/import/image_rows.h"

#include <algorithm>
#include <utility>

#include "src/core/error.h"

namespace lockstep {

namespace {

size_t bytes_of(images::Size size) { return static_cast<size_t>(size.height * size.width * size.channels); }

}  // namespace

int64_t ImageRows::images_in_chunk(images::Size size) {
  constexpr size_t kChunkBytes = size_t{1} << 20;
  return static_cast<int64_t>(std::max<size_t>(1, kChunkBytes / bytes_of(size)));
}

ImageRows::ImageRows(hdf5::File& file, std::string name, images::Size size, int64_t most)
    : file_(file), name_(std::move(name)), size_(size), most_(most), row_bytes_(bytes_of(size)) {
  const int64_t chunk = std::min(images_in_chunk(size), most);
  file_.create_dataset(name_, DType::u8, {most, size.height, size.width, size.channels},
                       {.chunk = {chunk, size.height, size.width, size.channels}});
  waiting_.reserve(static_cast<size_t>(chunk) * row_bytes_);
}

void ImageRows::append(std::span<const std::byte> image) {
  INVARIANT(image.size() == row_bytes_, "{} bytes of {}", image.size(), row_bytes_);
  waiting_.insert(waiting_.end(), image.begin(), image.end());
  // Chunks are written whole, so that none is read again.
  if (waiting_.size() == static_cast<size_t>(images_in_chunk(size_)) * row_bytes_) write_waiting();
}

void ImageRows::finish() {
  write_waiting();
  if (written_ == most_) return;
  const hdf5::Lock lock;
  const hdf5::Id dataset(H5Dopen2(file_.id(), name_.c_str(), H5P_DEFAULT));
  const hsize_t extents[] = {static_cast<hsize_t>(written_), static_cast<hsize_t>(size_.height),
                             static_cast<hsize_t>(size_.width), static_cast<hsize_t>(size_.channels)};
  if (!dataset || H5Dset_extent(dataset.get(), extents) < 0)
    fail(ExitCode::data, "{}:{} cannot be written: {}.", file_.path(), name_, hdf5::last_error());
}

void ImageRows::write_waiting() {
  const auto rows = static_cast<int64_t>(waiting_.size() / row_bytes_);
  file_.write_rows(name_, written_,
                   {waiting_.data(), DType::u8, {rows, size_.height, size_.width, size_.channels}});
  written_ += rows;
  waiting_.clear();
}

}  // namespace lockstep
