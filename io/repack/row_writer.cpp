#include "io/repack/row_writer.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "io/repack/encode_chunk.h"
#include "src/core/error.h"

namespace lockstep {

using hdf5::Id;

namespace {

/// The chunks of rows; each is stored whole, and what lies behind the last row is zero.
EncodedRows encode_chunks(std::span<const std::byte> rows, size_t chunk_bytes, size_t element_bytes,
                          int level, ThreadPool& pool) {
  EncodedRows encoded((rows.size() + chunk_bytes - 1) / chunk_bytes);
  pool.run([&](int lane) {
    for (size_t i = static_cast<size_t>(lane); i < encoded.size(); i += static_cast<size_t>(pool.lanes())) {
      const auto chunk = rows.subspan(i * chunk_bytes, std::min(chunk_bytes, rows.size() - i * chunk_bytes));
      if (chunk.size() == chunk_bytes) {
        encoded[i] = encode_chunk(chunk, element_bytes, level);
      } else {
        std::vector<std::byte> whole(chunk_bytes);
        std::ranges::copy(chunk, whole.begin());
        encoded[i] = encode_chunk(whole, element_bytes, level);
      }
    }
  });
  return encoded;
}

}  // namespace

EncodedRows encode_rows(std::vector<std::byte> rows, const RawRows& like, RowStorage storage,
                        ThreadPool& pool) {
  if (storage.chunk_rows > 0)
    return encode_chunks(rows, static_cast<size_t>(storage.chunk_rows) * like.row_bytes(),
                         like.element_bytes(), storage.level, pool);
  EncodedRows contiguous;
  contiguous.push_back(std::move(rows));
  return contiguous;
}

RowWriter::RowWriter(hdf5::File& file, std::string name, const RawRows& like, int64_t rows,
                     RowStorage storage, ThreadPool& pool)
    : file_(file),
      name_(std::move(name)),
      extents_(like.dataset().extents()),
      element_bytes_(like.element_bytes()),
      row_bytes_(like.row_bytes()),
      storage_(storage),
      pool_(pool) {
  extents_[0] = rows;
  const hdf5::Lock lock;
  const Id creation(H5Pcreate(H5P_DATASET_CREATE));
  const std::vector<hsize_t> extents(extents_.begin(), extents_.end());
  H5Pset_obj_track_times(creation.get(), false);  // the same bytes whenever it is written
  if (storage_.chunk_rows > 0) {
    std::vector<hsize_t> chunk(extents);
    chunk[0] = static_cast<hsize_t>(storage_.chunk_rows);
    H5Pset_chunk(creation.get(), static_cast<int>(chunk.size()), chunk.data());
    H5Pset_shuffle(creation.get());
    H5Pset_deflate(creation.get(), static_cast<unsigned>(storage_.level));
  }
  const Id space(H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr));
  id_ = Id(H5Dcreate2(file.id(), name_.c_str(), like.dataset().type_id(), space.get(), H5P_DEFAULT,
                      creation.get(), H5P_DEFAULT));
  if (!id_) fail_to_write();
}

void RowWriter::append(std::span<const std::byte> rows) {
  if (rows.empty()) return;
  const size_t chunk_bytes = static_cast<size_t>(storage_.chunk_rows) * row_bytes_;
  if (storage_.chunk_rows > 0)
    append_chunks(encode_chunks(rows, chunk_bytes, element_bytes_, storage_.level, pool_));
  else
    append_contiguous(rows);
  next_ += static_cast<int64_t>(rows.size() / row_bytes_);
}

void RowWriter::append(int64_t rows, const EncodedRows& encoded) {
  if (storage_.chunk_rows > 0)
    append_chunks(encoded);
  else
    for (const std::vector<std::byte>& block : encoded) append_contiguous(block);
  next_ += rows;
}

int64_t RowWriter::stored_bytes() const {
  const hdf5::Lock lock;
  return static_cast<int64_t>(H5Dget_storage_size(id_.get()));
}

void RowWriter::append_chunks(const EncodedRows& encoded) {
  const hdf5::Lock lock;
  std::vector<hsize_t> offset(extents_.size(), 0);
  for (size_t i = 0; i < encoded.size(); ++i) {
    offset[0] = static_cast<hsize_t>(next_ + static_cast<int64_t>(i) * storage_.chunk_rows);
    if (H5Dwrite_chunk(id_.get(), H5P_DEFAULT, 0, offset.data(), encoded[i].size(), encoded[i].data()) < 0)
      fail_to_write();
  }
}

void RowWriter::append_contiguous(std::span<const std::byte> rows) {
  const hdf5::Lock lock;
  const Id type(H5Dget_type(id_.get())), space(H5Dget_space(id_.get()));
  std::vector<hsize_t> start(extents_.size(), 0), size(extents_.begin(), extents_.end());
  start[0] = static_cast<hsize_t>(next_);
  size[0] = rows.size() / row_bytes_;
  const Id memory(H5Screate_simple(static_cast<int>(size.size()), size.data(), nullptr));
  if (H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start.data(), nullptr, size.data(), nullptr) < 0 ||
      H5Dwrite(id_.get(), type.get(), memory.get(), space.get(), H5P_DEFAULT, rows.data()) < 0)
    fail_to_write();
}

void RowWriter::fail_to_write() const {
  fail(ExitCode::data, "{}:{} cannot be written: {}.", file_.path(), name_, hdf5::last_error());
}

}  // namespace lockstep
