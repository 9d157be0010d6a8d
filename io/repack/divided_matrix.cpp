#include "io/repack/divided_matrix.h"

#include <algorithm>
#include <memory>

#include "io/repack/copy_objects.h"
#include "io/repack/part_buffer.h"

namespace lockstep {

namespace {

/// Replaces the numbers of rows in the attributes that give the shape of a matrix.
void set_rows(const hdf5::File& file, const std::string& group, int64_t rows) {
  const hdf5::Lock lock;
  for (const char* name : {"shape", "h5sparse_shape"}) {
    if (H5Aexists_by_name(file.id(), group.c_str(), name, H5P_DEFAULT) <= 0) continue;
    hdf5::Id attribute(H5Aopen_by_name(file.id(), group.c_str(), name, H5P_DEFAULT, H5P_DEFAULT));
    const hdf5::Id space(H5Aget_space(attribute.get())), type(H5Aget_type(attribute.get()));
    if (H5Sget_simple_extent_npoints(space.get()) != 2) continue;
    int64_t shape[2] = {0, 0};
    const bool is_read = H5Aread(attribute.get(), H5T_NATIVE_INT64, shape) >= 0;
    attribute = hdf5::Id();
    shape[0] = rows;
    if (is_read && H5Adelete_by_name(file.id(), group.c_str(), name, H5P_DEFAULT) >= 0)
      attribute = hdf5::Id(H5Acreate_by_name(file.id(), group.c_str(), name, type.get(), space.get(),
                                             H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    if (!attribute || H5Awrite(attribute.get(), H5T_NATIVE_INT64, shape) < 0)
      fail(ExitCode::data, "{}:{} cannot be written: {}.", file.path(), printable(group), hdf5::last_error());
  }
}

}  // namespace

DividedMatrix::DividedMatrix(const hdf5::File& file, const std::string& group)
    : file_(file),
      group_(group),
      data_(file.dataset(group + "/data")),
      indices_(file.dataset(group + "/indices")) {
  const hdf5::Dataset starts = file.dataset(group + "/indptr");
  starts_.resize(static_cast<size_t>(starts.elements()));
  starts.read(DType::i64, starts_.data());
}

int64_t DividedMatrix::bytes() const {
  return data_.elements() * static_cast<int64_t>(data_.type().bytes + indices_.type().bytes);
}

void DividedMatrix::divide(const Division& division, const std::string& to) const {
  std::vector<std::vector<int64_t>> starts(division.parts.size(), {0});
  for (size_t row = 0; row + 1 < starts_.size(); ++row) {
    std::vector<int64_t>& of_part = starts[division.part_of[row]];
    of_part.push_back(of_part.back() + starts_[row + 1] - starts_[row]);
  }
  for (size_t part = 0; part < starts.size(); ++part) {
    const std::string group = division.parts[part].group + "/" + to;
    division.out.create_group(group);
    copy_attributes(file_, group_, division.out, group);
    set_rows(division.out, group, division.parts[part].samples);
    division.out.write(group + "/indptr",
                       {starts[part].data(), DType::i64, {static_cast<int64_t>(starts[part].size())}});
  }
  divide_values(division, RawRows(data_), to + "/data");
  divide_values(division, RawRows(indices_), to + "/indices");
}

void DividedMatrix::divide_values(const Division& division, const RawRows& values,
                                  const std::string& to) const {
  const size_t bytes = values.row_bytes();
  std::vector<int64_t> counts(division.parts.size());
  for (size_t row = 0; row + 1 < starts_.size(); ++row)
    counts[division.part_of[row]] += starts_[row + 1] - starts_[row];
  std::vector<PartBuffer> parts;
  for (size_t part = 0; part < counts.size(); ++part)
    parts.emplace_back(
        std::make_unique<RowWriter>(division.out, division.parts[part].group + "/" + to, values, counts[part],
                                    storage_like(values, counts[part]), division.pool),
        bytes, memory_of_part(division));
  // As many rows at a time as fit into memory, at least one.
  const auto fitting = static_cast<int64_t>(static_cast<size_t>(division.memory_bytes) / 2 / bytes);
  std::vector<std::byte> read;
  for (size_t row = 0, end; row + 1 < starts_.size(); row = end) {
    const int64_t first = starts_[row];
    end = row + 1;
    while (end + 1 < starts_.size() && starts_[end + 1] - first <= fitting) ++end;
    const int64_t count = starts_[end] - first;
    read.resize(static_cast<size_t>(count) * bytes);
    if (count > 0) values.read(first, count, read.data());
    for (size_t at = row; at < end; ++at)
      parts[division.part_of[at]].add(
          std::span(read).subspan(static_cast<size_t>(starts_[at] - first) * bytes,
                                  static_cast<size_t>(starts_[at + 1] - starts_[at]) * bytes));
    if (division.note_done) division.note_done(count * static_cast<int64_t>(bytes));
  }
  for (PartBuffer& part : parts) part.flush();
}

}  // namespace lockstep
