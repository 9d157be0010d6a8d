#include "io/hdf5/elements/heap_reader.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "io/file/file_parts.h"
#include "io/file/kept_file.h"
#include "io/hdf5/chunks/read_driver.h"
#include "io/hdf5/filters/filters.h"
#include "io/hdf5/number_at.h"

namespace lockstep::hdf5 {

namespace {

constexpr uint64_t kMaxCollection = uint64_t{1} << 30;
constexpr size_t kMarkBytes = 8;  // "GCOL", the version and three reserved bytes

size_t padded(size_t bytes) { return (bytes + 7) / 8 * 8; }

}  // namespace

bool has_variable_length(hid_t type) {
  const Lock lock;
  return H5Tget_class(type) == H5T_VLEN || H5Tis_variable_str(type) > 0;
}

int64_t items_of(std::span<const std::byte> element) {
  return static_cast<int64_t>(number_at(element.data(), 4));
}

HeapReader::HeapReader(const Dataset& dataset) {
  if (!dataset.is_written())
    fail(ExitCode::data, "{} was never written: it holds no values.", dataset.where());
  if (dataset.is_read_by_libhdf5())
    fail(ExitCode::data,
         "{} holds values of variable length and is stored in a way that is not supported for these ({}). "
         "`h5repack -l CHUNK=1024 -f GZIP=1 IN OUT` rewrites it.",
         dataset.where(), dataset.filters().empty() ? dataset.layout() : dataset.why_by_libhdf5());
  const Lock lock;
  descriptor_ = descriptor_of(dataset.id());
  family_ = family_of(dataset.id());
  const Id file(H5Iget_file_id(dataset.id()));
  const Id properties(H5Fget_create_plist(file.get()));
  hsize_t user_block = 0;
  if ((descriptor_ < 0 && !family_) || !properties ||
      H5Pget_sizes(properties.get(), &address_bytes_, &length_bytes_) < 0 ||
      H5Pget_userblock(properties.get(), &user_block) < 0)
    fail(ExitCode::data, "{}: its values of variable length cannot be located.", dataset.where());
  base_ = user_block;
  kept_ = kept_file(descriptor_);
}

uint64_t HeapReader::file_bytes() const {
  if (family_) return family_->bytes();
  struct stat status {};
  if (fstat(descriptor_, &status) != 0) throw filters::BadChunk("its file cannot be examined");
  return static_cast<uint64_t>(status.st_size);
}

void HeapReader::read(uint64_t address, std::span<std::byte> out) const {
  const uint64_t offset = base_ + address;
  const std::string problem = family_
                                  ? family_->read(offset, out)
                                  : read_through(kept_.get(), descriptor_, static_cast<int64_t>(offset), out);
  if (!problem.empty()) throw filters::BadChunk(problem);
}

void HeapReader::load(uint64_t address) {
  loaded_ = 0;
  const uint64_t file_bytes = this->file_bytes();
  const size_t header = kMarkBytes + length_bytes_;
  if (address > file_bytes || base_ + header > file_bytes - address)
    throw filters::BadChunk(fmt::format("it refers to a heap at {}, beyond the end of the file", address));
  std::vector<std::byte> start(header);
  read(address, start);
  if (std::memcmp(start.data(), "GCOL\1", 5) != 0)
    throw filters::BadChunk(fmt::format("it refers to {}, where no heap begins", address));
  const uint64_t bytes = number_at(start.data() + kMarkBytes, length_bytes_);
  if (bytes < header || bytes > file_bytes - address - base_)
    throw filters::BadChunk(fmt::format("the heap at {} claims {} bytes", address, bytes));
  if (bytes > kMaxCollection)
    throw filters::BadChunk(
        fmt::format("the heap at {} has {} bytes, and at most 1 GiB is supported", address, bytes));
  collection_.resize(bytes);
  read(address, collection_);

  // Of an object: its index, a count of references, four reserved bytes, its size; then its bytes, padded.
  objects_.clear();
  const size_t object_header = padded(8 + length_bytes_);
  for (size_t at = padded(header); at + object_header <= collection_.size();) {
    const auto index = static_cast<size_t>(number_at(&collection_[at], 2));
    const uint64_t size = number_at(&collection_[at] + 8, length_bytes_);
    if (index == 0) break;  // free space, which is last
    if (size > collection_.size() - at - object_header)
      throw filters::BadChunk(
          fmt::format("object {} of the heap at {} claims {} bytes", index, address, size));
    if (objects_.size() <= index) objects_.resize(index + 1);
    objects_[index] = {at + object_header, size};
    at += object_header + padded(size);
  }
  loaded_ = address;
}

std::span<const std::byte> HeapReader::get(std::span<const std::byte> element, size_t item_bytes) {
  INVARIANT(element.size() == 8 + address_bytes_, "an element of {} bytes", element.size());
  const uint64_t items = number_at(element.data(), 4);
  const uint64_t address = number_at(element.data() + 4, address_bytes_);
  const auto index = static_cast<size_t>(number_at(element.data() + 4 + address_bytes_, 4));
  if (items == 0 || address == 0) return {};
  if (address != loaded_) load(address);
  if (index >= objects_.size() || objects_[index].offset == 0)
    throw filters::BadChunk(
        fmt::format("it refers to object {} of the heap at {}, which has none", index, address));
  const Object& object = objects_[index];
  if (items > object.bytes / item_bytes)
    throw filters::BadChunk(fmt::format("it claims {} values of {} bytes, and the heap holds {} bytes for it",
                                        items, item_bytes, object.bytes));
  return {collection_.data() + object.offset, items * item_bytes};
}

}  // namespace lockstep::hdf5
