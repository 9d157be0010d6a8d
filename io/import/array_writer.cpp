#include "io/import/array_writer.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "io/import/member_stream.h"
#include "src/core/error.h"

namespace lockstep {

namespace {

using hdf5::Id;

/// h5py's type of booleans.
Id boolean_type() {
  Id type(H5Tenum_create(H5T_STD_I8LE));
  for (const auto& [name, value] : {std::pair<const char*, int8_t>{"FALSE", 0}, {"TRUE", 1}})
    H5Tenum_insert(type.get(), name, &value);
  return type;
}

/// IEEE 754 half precision, which HDF5 1.10 does not define.
Id half_type() {
  Id type(H5Tcopy(H5T_IEEE_F32LE));
  H5Tset_fields(type.get(), 15, 10, 5, 0, 10);
  H5Tset_ebias(type.get(), 15);
  H5Tset_size(type.get(), 2);
  return type;
}

Id integer_type(int64_t bytes, bool is_signed) {
  constexpr size_t kBits = 8;
  Id type(H5Tcopy(is_signed ? H5T_STD_I64LE : H5T_STD_U64LE));
  H5Tset_precision(type.get(), kBits * static_cast<size_t>(bytes));
  H5Tset_size(type.get(), static_cast<size_t>(bytes));
  return type;
}

Id float_type(int64_t bytes) {
  return bytes == 2 ? half_type() : Id(H5Tcopy(bytes == 4 ? H5T_IEEE_F32LE : H5T_IEEE_F64LE));
}

/// h5py's type of complex numbers.
Id complex_type(const Id& part) {
  const size_t bytes = H5Tget_size(part.get());
  Id type(H5Tcreate(H5T_COMPOUND, 2 * bytes));
  H5Tinsert(type.get(), "r", 0, part.get());
  H5Tinsert(type.get(), "i", bytes, part.get());
  return type;
}

/// The type of the elements, as they are stored.
Id type_of(const NpyHeader& header) {
  if (header.kind == 'b') return boolean_type();
  const bool is_complex = header.kind == 'c';
  Id type = is_complex || header.kind == 'f' ? float_type(header.element_bytes / (is_complex ? 2 : 1))
                                             : integer_type(header.element_bytes, header.kind == 'i');
  if (header.big_endian) H5Tset_order(type.get(), H5T_ORDER_BE);
  return is_complex ? complex_type(type) : std::move(type);
}

/// A new data set that is written in rows, in the type in which it is stored.
class StoredRowsWriter {
 public:
  StoredRowsWriter(hdf5::File& out, std::string name, const NpyHeader& header)
      : out_(out), name_(std::move(name)), extents_(header.shape.begin(), header.shape.end()) {
    const hdf5::Lock lock;
    type_ = type_of(header);
    const Id links(H5Pcreate(H5P_LINK_CREATE)), creation(H5Pcreate(H5P_DATASET_CREATE));
    H5Pset_create_intermediate_group(links.get(), 1);
    H5Pset_fill_time(creation.get(), H5D_FILL_TIME_NEVER);
    const Id space(H5Screate_simple(static_cast<int>(extents_.size()), extents_.data(), nullptr));
    id_ = Id(H5Dcreate2(out.id(), name_.c_str(), type_.get(), space.get(), links.get(), creation.get(),
                        H5P_DEFAULT));
    if (!id_) fail_to_write();
  }

  void append(int64_t rows, const std::byte* values) {
    const hdf5::Lock lock;
    const Id space(H5Dget_space(id_.get()));
    std::vector<hsize_t> start(extents_.size()), size = extents_;
    start[0] = static_cast<hsize_t>(next_);
    size[0] = static_cast<hsize_t>(rows);
    const Id memory(H5Screate_simple(static_cast<int>(size.size()), size.data(), nullptr));
    if (H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start.data(), nullptr, size.data(), nullptr) < 0 ||
        H5Dwrite(id_.get(), type_.get(), memory.get(), space.get(), H5P_DEFAULT, values) < 0)
      fail_to_write();
    next_ += rows;
  }

 private:
  [[noreturn]] void fail_to_write() const {
    fail(ExitCode::data, "{}:{} cannot be written: {}.", out_.path(), name_, hdf5::last_error());
  }

  const hdf5::File& out_;
  std::string name_;
  std::vector<hsize_t> extents_;
  Id type_, id_;
  int64_t next_ = 0;
};

int64_t row_elements(const NpyHeader& header) { return header.elements() / header.shape[0]; }

void copy_rows(const StoredArray& array, StoredRowsWriter& writer,
               const std::function<void(int64_t bytes)>& note) {
  constexpr int64_t kPieceBytes = int64_t{4} << 20;
  const NpyHeader& header = array.header;
  const int64_t rows = header.shape[0], row_bytes = row_elements(header) * header.element_bytes;
  const int64_t piece = std::clamp<int64_t>(kPieceBytes / row_bytes, 1, rows);
  MemberStream stream(*array.file, array.member);
  std::vector<std::byte> begin(static_cast<size_t>(header.data_begin));
  stream.read(begin);
  std::vector<std::byte> values(static_cast<size_t>(piece * row_bytes));
  for (int64_t first = 0; first < rows; first += piece) {
    const int64_t count = std::min(piece, rows - first);
    stream.read(std::span(values).first(static_cast<size_t>(count * row_bytes)));
    writer.append(count, values.data());
    note(count * row_bytes);
  }
}

/// Where in a row of C order the next element of Fortran order belongs: of the axes behind the first, the
/// earliest varies fastest.
class PlaceInRow {
 public:
  explicit PlaceInRow(std::span<const int64_t> extents)
      : extents_(extents.begin(), extents.end()), index_(extents.size()), strides_(extents.size()) {
    int64_t stride = 1;
    for (size_t axis = extents_.size(); axis-- > 0;) {
      strides_[axis] = stride;
      stride *= extents_[axis];
    }
  }
  int64_t place() const { return place_; }
  void next() {
    for (size_t axis = 0; axis < extents_.size(); ++axis) {
      place_ += strides_[axis];
      if (++index_[axis] < extents_[axis]) return;
      place_ -= extents_[axis] * strides_[axis];
      index_[axis] = 0;
    }
  }

 private:
  std::vector<int64_t> extents_, index_, strides_;
  int64_t place_ = 0;
};

/// Of an array in Fortran order, all first elements of rows come first, then all second ones: each piece of
/// rows takes a pass over all of it.
void transpose_rows(const StoredArray& array, StoredRowsWriter& writer,
                    const std::function<void(int64_t bytes)>& note, int64_t memory_bytes) {
  const NpyHeader& header = array.header;
  const int64_t rows = header.shape[0], in_row = row_elements(header), bytes = header.element_bytes;
  const int64_t piece = std::clamp<int64_t>(memory_bytes / (in_row * bytes), 1, rows);
  std::vector<std::byte> values(static_cast<size_t>(piece * in_row * bytes));
  for (int64_t first = 0; first < rows; first += piece) {
    const int64_t count = std::min(piece, rows - first);
    MemberStream stream(*array.file, array.member);
    stream.skip(header.data_begin + first * bytes);
    std::vector<std::byte> column(static_cast<size_t>(count * bytes));
    PlaceInRow place(std::span(header.shape).subspan(1));
    for (int64_t i = 0; i < in_row; ++i, place.next()) {
      stream.read(column);
      for (int64_t row = 0; row < count; ++row)
        std::memcpy(values.data() + (row * in_row + place.place()) * bytes, column.data() + row * bytes,
                    static_cast<size_t>(bytes));
      if (i + 1 < in_row) stream.skip((rows - count) * bytes);
    }
    // What follows is passed over too, so that a deflated member is checked to its end.
    stream.skip((rows - first - count) * bytes);
    writer.append(count, values.data());
    note(count * in_row * bytes);
  }
}

}  // namespace

StoredArray open_array(const InputFile& file, const ZipMember& member, const std::string& where) {
  std::vector<std::byte> begin(static_cast<size_t>(std::min(member.bytes, kMaxNpyHeaderBytes)));
  MemberStream(file, member).read(begin);
  StoredArray array{where, &file, member, parse_npy_header(begin, where)};
  const NpyHeader& header = array.header;
  if (header.shape.empty())
    fail(ExitCode::data, "{}: it holds one number, and no samples along a first axis.", where);
  if (header.elements() == 0) fail(ExitCode::data, "{}: {}, which is empty.", where, header.text());
  const int64_t follow = member.bytes - header.data_begin;
  if (follow != header.data_bytes())
    fail(ExitCode::data, "{}: {}: its header says {}, which is {} bytes, and {} follow.", where,
         follow < header.data_bytes() ? "cut short" : "too long", header.text(), header.data_bytes(), follow);
  return array;
}

void write_array(hdf5::File& out, const std::string& name, const StoredArray& array,
                 const std::function<void(int64_t bytes)>& note, int64_t fortran_bytes) {
  StoredRowsWriter writer(out, name, array.header);
  if (array.header.fortran_order && array.header.shape.size() > 1)
    transpose_rows(array, writer, note, fortran_bytes);
  else
    copy_rows(array, writer, note);
}

}  // namespace lockstep
