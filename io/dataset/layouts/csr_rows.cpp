#include "io/dataset/layouts/csr_rows.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>
#include <utility>

#include "io/dataset/layouts/plain_rows.h"
#include "io/hdf5/chunks/chunk_bytes.h"

namespace lockstep {

namespace {

constexpr int64_t kMaxColumns = int64_t{1} << 26;   // of a dense row
constexpr int64_t kPieceStarts = int64_t{1} << 20;  // of indptr, read at a time
constexpr int64_t kPieceValues = int64_t{1} << 20;

/// The numbers of an attribute with one axis; empty if there is none.
std::vector<int64_t> numbers_of_attribute(const hdf5::File& file, const std::string& object,
                                          const char* name) {
  std::vector<int64_t> numbers;
  if (H5Aexists_by_name(file.id(), object.c_str(), name, H5P_DEFAULT) <= 0) return numbers;
  const hdf5::Id attribute(H5Aopen_by_name(file.id(), object.c_str(), name, H5P_DEFAULT, H5P_DEFAULT));
  const hdf5::Id space(attribute ? H5Aget_space(attribute.get()) : H5I_INVALID_HID);
  const hdf5::Id type(attribute ? H5Aget_type(attribute.get()) : H5I_INVALID_HID);
  const hssize_t count = space ? H5Sget_simple_extent_npoints(space.get()) : 0;
  if (count < 1 || count > H5S_MAX_RANK || H5Tget_class(type.get()) != H5T_INTEGER) return numbers;
  numbers.resize(static_cast<size_t>(count));
  if (H5Aread(attribute.get(), H5T_NATIVE_INT64, numbers.data()) < 0) numbers.clear();
  return numbers;
}

/// (rows, columns) as the group says.
std::vector<int64_t> shape_of_matrix(const hdf5::File& file, const std::string& group) {
  for (const char* name : {"shape", "h5sparse_shape"})
    if (std::vector<int64_t> shape = numbers_of_attribute(file, group, name); shape.size() == 2) return shape;
  fail(ExitCode::data,
       "{}:{} has the data sets of a sparse matrix (data, indices, indptr), but no attribute \"shape\" with "
       "its numbers of rows and columns. In Python: h5py.File({}, \"r+\")[\"{}\"].attrs[\"shape\"] = (ROWS, "
       "COLUMNS).",
       file.path(), printable(group), file.path(), printable(group));
}

void require_by_rows(const hdf5::File& file, const std::string& group) {
  for (const char* name : {"encoding-type", "h5sparse_format"}) {
    const std::optional<std::string> format = file.string_attribute(group, name);
    if (format && format->starts_with("csc"))
      fail(ExitCode::data,
           "{}:{} is a sparse matrix that is stored by columns (CSC), so that each sample is spread over "
           "all of it. Store it by rows (CSR): in Python, adata.X = adata.X.tocsr().",
           file.path(), printable(group));
  }
}

/// Reads values [first, first + count).
template <typename T>
void read_values(const hdf5::Dataset& dataset, int64_t first, int64_t count, DType dtype,
                 std::vector<T>& values) {
  values.resize(static_cast<size_t>(count) * size_of(dtype) / sizeof(T));
  if (count > 0) dataset.read_rows(first, count, dtype, values.data());
}

}  // namespace

bool CsrRows::is_sparse(const hdf5::File& file, const std::string& name) {
  return file.contains_dataset(name + "/data") && file.contains_dataset(name + "/indices") &&
         file.contains_dataset(name + "/indptr");
}

CsrRows::CsrRows(hdf5::File opened, const std::string& group)
    : StoredRows(std::move(opened), group),
      data_(file().dataset(group + "/data", 0)),
      indices_(file().dataset(group + "/indices", 0)),
      starts_name_(group + "/indptr") {
  const hdf5::Lock lock;
  require_by_rows(file(), group);
  const std::vector<int64_t> shape = shape_of_matrix(file(), group);
  const int64_t rows = shape[0], columns = shape[1];
  if (rows < 1 || columns < 1 || columns > kMaxColumns)
    fail(ExitCode::data,
         "{} is a sparse matrix of shape ({}, {}); it needs at least one row, and 1 to {} columns.", where(),
         rows, columns, kMaxColumns);
  watch(data_);
  watch(indices_);
  if (data_.elements() > 0) require_rows_of_numbers(data_);
  if (data_.extents().size() != 1 || indices_.extents() != data_.extents())
    fail(ExitCode::data,
         "{} has the shape {}, and {} has {}; of a sparse matrix both have one axis and the same "
         "length.",
         data_.where(), to_string(Shape(data_.extents())), printable(indices_.name()),
         to_string(Shape(indices_.extents())));
  if (indices_.type().kind != hdf5::ElementType::Kind::integer)
    fail(ExitCode::data, "{} holds {}; the columns of a sparse matrix are integers.", indices_.where(),
         indices_.type().name);
  facts_.rows = rows;
  facts_.shape = {columns};
  read_starts(rows);
  facts_.type = data_.type();
  // Sums are not computed in 16 bits.
  if (facts_.type.exact == DType::f16 || facts_.type.exact == DType::bf16) facts_.type.exact = DType::f32;
  const double values_of_row = static_cast<double>(starts_.back()) / static_cast<double>(rows);
  facts_.read_bytes = static_cast<size_t>(values_of_row * 16);
  facts_.by_libhdf5 = data_.is_read_by_libhdf5() || indices_.is_read_by_libhdf5();
  // A chunk of values holds those of about so many rows.
  if (!data_.chunk().empty() && !data_.filters().empty() && starts_.back() > 0) {
    const double chunk_rows = static_cast<double>(data_.chunk()[0]) / std::max(1.0, values_of_row);
    facts_.block_rows = std::clamp<int64_t>(std::llround(chunk_rows), 1, rows);
    facts_.block_bytes =
        static_cast<double>(hdf5::chunk_bytes(data_)) *
        (1 + static_cast<double>(indices_.type().bytes) / static_cast<double>(data_.type().bytes));
    facts_.block_pieces = 2;
  }
  facts_.notes.push_back(fmt::format(
      "{} is a sparse matrix (CSR) of which {:.3g} % are stored; its rows become dense as they are read",
      where(), 100 * values_of_row / static_cast<double>(columns)));
}

void CsrRows::read_starts(int64_t rows) {
  const hdf5::Dataset starts = file().dataset(starts_name_, 0);
  watch(starts);
  if (starts.extents().size() != 1 || starts.extents()[0] != rows + 1)
    fail(ExitCode::data, "{} has the shape {}; of a sparse matrix of {} rows it is ({}).", starts.where(),
         to_string(Shape(starts.extents())), rows, rows + 1);
  require_rows_of_numbers(starts);
  if (starts.type().kind != hdf5::ElementType::Kind::integer)
    fail(ExitCode::data, "{} holds {}; it must hold integers.", starts.where(), starts.type().name);
  // In pieces, because a header may claim more rows than the file holds: that ends before memory does.
  std::vector<int64_t> piece;
  int64_t before = 0;
  for (int64_t first = 0; first <= rows; first += kPieceStarts) {
    const int64_t count = std::min(kPieceStarts, rows + 1 - first);
    read_values(starts, first, count, DType::i64, piece);
    for (int64_t i = 0; i < count; ++i) {
      const int64_t start = piece[static_cast<size_t>(i)];
      if (start < before || start > data_.elements() || start - before > facts_.shape.elements())
        fail(ExitCode::data,
             "{}: row {} of the sparse matrix would have values {} to {} of {}. The file is damaged, or its "
             "attribute \"shape\" is wrong.",
             starts.where(), first + i - 1, before, start, data_.elements());
      before = start;
    }
    starts_.insert(starts_.end(), piece.begin(), piece.end());
  }
}

template <typename T>
void CsrRows::scatter(int64_t row, std::span<const int64_t> columns, const std::byte* stored, T* out) const {
  const T* values = reinterpret_cast<const T*>(stored);
  for (size_t i = 0; i < columns.size(); ++i) {
    const int64_t column = columns[i];
    if (column < 0 || column >= facts_.shape[0])
      fail(
          ExitCode::data,
          "{}: sample {} has a value in column {}, and the matrix has {} columns. The file is damaged, or its "
          "attribute \"shape\" is wrong.",
          where(), row, column, facts_.shape[0]);
    // Values of the same column add up, as everywhere that uses this format.
    const T sum = static_cast<T>(out[column] + values[i]);
    if (std::is_same_v<T, uint8_t> && sum < values[i])
      fail(ExitCode::data, "{}: sample {} has several values in column {}, whose sum is no uint8.", where(),
           row, column);
    out[column] = sum;
  }
}

void CsrRows::read_runs(std::span<const hdf5::RowRun> runs, DType dtype, std::byte* out) const {
  const size_t bytes = size_of(dtype), row_bytes = static_cast<size_t>(facts_.shape[0]) * bytes;
  std::vector<int64_t> columns;
  std::vector<std::byte> values;
  for (const hdf5::RowRun& run : runs) {
    std::memset(out, 0, static_cast<size_t>(run.count) * row_bytes);
    for (int64_t row = run.first, end; row < run.first + run.count; row = end) {
      // As many rows as make a piece, at least one.
      const int64_t start = starts_[static_cast<size_t>(row)];
      end = row + 1;
      while (end < run.first + run.count && starts_[static_cast<size_t>(end) + 1] - start <= kPieceValues)
        ++end;
      const int64_t count = starts_[static_cast<size_t>(end)] - start;
      read_values(indices_, start, count, DType::i64, columns);
      read_values(data_, start, count, dtype, values);
      for (int64_t at = row; at < end; ++at, out += row_bytes) {
        const auto begin = static_cast<size_t>(starts_[static_cast<size_t>(at)] - start);
        const auto behind = static_cast<size_t>(starts_[static_cast<size_t>(at) + 1] - start);
        const auto of_row = std::span(columns).subspan(begin, behind - begin);
        const std::byte* stored = values.data() + begin * bytes;
        switch (dtype) {
          case DType::u8:
            scatter(at, of_row, stored, reinterpret_cast<uint8_t*>(out));
            break;
          case DType::i32:
            scatter(at, of_row, stored, reinterpret_cast<int32_t*>(out));
            break;
          case DType::i64:
            scatter(at, of_row, stored, reinterpret_cast<int64_t*>(out));
            break;
          case DType::f32:
            scatter(at, of_row, stored, reinterpret_cast<float*>(out));
            break;
          case DType::f64:
            scatter(at, of_row, stored, reinterpret_cast<double*>(out));
            break;
          case DType::f16:
          case DType::bf16:
            INVARIANT(false, "a sparse matrix as {}", to_string(dtype));
        }
      }
    }
  }
}

}  // namespace lockstep
