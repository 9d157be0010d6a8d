#include "io/repack/divide_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "io/dataset/layouts/csr_rows.h"
#include "io/dataset/layouts/plain_rows.h"
#include "io/dataset/layouts/record_fields.h"
#include "io/dataset/layouts/separate_rows.h"
#include "io/dataset/targets/class_names.h"
#include "io/hdf5/crash_report.h"
#include "io/hdf5/sources/sources.h"
#include "io/repack/copy_objects.h"
#include "io/repack/divided_matrix.h"
#include "io/repack/part_buffer.h"
#include "io/repack/raw_rows.h"
#include "src/core/error.h"

namespace lockstep {

namespace {

using hdf5::Id;

[[noreturn]] void fail_to_write(const hdf5::File& file, const std::string& name) {
  fail(ExitCode::data, "{}:{} cannot be written: {}.", file.path(), printable(name), hdf5::last_error());
}

hdf5::Dataset open_dataset_to_divide(const hdf5::File& file, const std::string& name) {
  require_dataset(file, name);
  hdf5::Dataset dataset = file.dataset(name);
  hdf5::require_sources(dataset);
  require_rows(dataset);
  return dataset;
}

/// Elements that hold their values, copied byte for byte.
class RawDivided final : public DividedRows {
 public:
  RawDivided(const hdf5::File& file, const std::string& name)
      : file_(file), dataset_(open_dataset_to_divide(file, name)), rows_(dataset_) {}

  int64_t rows() const override { return rows_.count(); }
  int64_t bytes() const override { return rows_.bytes(); }
  void divide(const Division& division, const std::string& to) const override {
    std::vector<PartBuffer> parts;
    for (const DivisionPart& part : division.parts) {
      const std::string name = part.group + "/" + to;
      parts.emplace_back(std::make_unique<RowWriter>(division.out, name, rows_, part.samples,
                                                     storage_like(rows_, part.samples), division.pool),
                         rows_.row_bytes(), memory_of_part(division));
      copy_attributes(file_, dataset_.name(), division.out, name);
    }
    const int64_t block = dataset_.chunk().empty() ? 1 : dataset_.chunk()[0];
    for_each_divided_row(
        division, rows_.row_bytes(), block,
        [&](int64_t first, int64_t count, std::byte* out) { rows_.read(first, count, out); },
        [&](uint8_t part, std::span<const std::byte> row) { parts[part].add(row); });
    for (PartBuffer& part : parts) part.flush();
  }

 private:
  const hdf5::File& file_;
  hdf5::Dataset dataset_;
  RawRows rows_;
};

/// The type of records with one field of these alone, by its whole name ("kind" or "position.kind"), in which
/// libhdf5 reads that field; no identifier if there is none.
Id type_with_field(hid_t record, const std::string& name) {
  for (int i = 0; i < H5Tget_nmembers(record); ++i) {
    const auto member = static_cast<unsigned>(i);
    char* const text = H5Tget_member_name(record, member);
    const std::string own = text == nullptr ? "" : text;
    H5free_memory(text);
    Id type(H5Tget_member_type(record, member));
    if (own != name) {
      const bool is_inside = name.starts_with(own + ".") && H5Tget_class(type.get()) == H5T_COMPOUND;
      type = is_inside ? type_with_field(type.get(), name.substr(own.size() + 1)) : Id();
    }
    if (!type) continue;
    Id alone(H5Tcreate(H5T_COMPOUND, H5Tget_size(type.get())));
    if (H5Tinsert(alone.get(), own.c_str(), 0, type.get()) >= 0) return alone;
  }
  return {};
}

/// Elements that refer to values of variable length, or a field of records, copied by libhdf5.
class VariableDivided final : public DividedRows {
 public:
  /// field: of the elements, which becomes a data set of its own; "": the elements as a whole.
  VariableDivided(const hdf5::File& file, const std::string& name, const std::string& field = "")
      : file_(file), dataset_(open_dataset_to_divide(file, name)), is_field_(!field.empty()) {
    read_type_ = is_field_ ? type_with_field(dataset_.type_id(), field) : Id(H5Tcopy(dataset_.type_id()));
    written_type_ = is_field_ ? type_of_field(dataset_, field) : Id(H5Tcopy(dataset_.type_id()));
    if (!read_type_ || !written_type_)
      fail(ExitCode::data, "{}: its field {} cannot be read: {}.", dataset_.where(), printable(field),
           hdf5::last_error());
    if (H5Tdetect_class(dataset_.type_id(), H5T_REFERENCE) > 0)
      fail(ExitCode::data, "{} holds references, which mean nothing in another file.", dataset_.where());
  }

  int64_t rows() const override { return dataset_.extents()[0]; }
  int64_t bytes() const override { return rows() * row_bytes(); }
  void divide(const Division& division, const std::string& to) const override {
    const hdf5::Lock lock;
    const hdf5::InsideLibhdf5 inside(file_.path().c_str(), dataset_.name().c_str());
    std::vector<Written> parts;
    for (const DivisionPart& part : division.parts) {
      const std::string name = part.group + "/" + to;
      const std::vector<hsize_t> extents = extents_of(part.samples);
      const Id space(H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr));
      parts.push_back({Id(H5Dcreate2(division.out.id(), name.c_str(), written_type_.get(), space.get(),
                                     H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT)),
                       name});
      if (!parts.back().id) fail_to_write(division.out, name);
      if (!is_field_) copy_attributes(file_, dataset_.name(), division.out, name);
    }
    constexpr int64_t kRowsAtOnce = 1024;  // their values take memory, too
    std::vector<std::byte> elements(static_cast<size_t>(std::min(kRowsAtOnce, rows()) * row_bytes()));
    for (int64_t first = 0; first < rows(); first += kRowsAtOnce) {
      const int64_t count = std::min(kRowsAtOnce, rows() - first);
      const Id space = selected(dataset_.id(), first, count), memory = memory_space(count);
      if (H5Dread(dataset_.id(), read_type_.get(), memory.get(), space.get(), H5P_DEFAULT, elements.data()) <
          0)
        fail(ExitCode::data, "{}: samples {} to {} cannot be read: {}.", dataset_.where(), first,
             first + count - 1, hdf5::last_error());
      write(division, parts, first, count, elements);
      H5Dvlen_reclaim(read_type_.get(), memory.get(), H5P_DEFAULT, elements.data());
      if (division.note_done) division.note_done(count * row_bytes());
    }
  }

 private:
  struct Written {
    Id id;
    std::string name;
    int64_t rows = 0;
  };

  int64_t row_bytes() const {
    return dataset_.elements() / dataset_.extents()[0] *
           static_cast<int64_t>(H5Tget_size(written_type_.get()));
  }
  std::vector<hsize_t> extents_of(int64_t rows) const {
    std::vector<hsize_t> extents(dataset_.extents().begin(), dataset_.extents().end());
    extents[0] = static_cast<hsize_t>(rows);
    return extents;
  }
  Id memory_space(int64_t rows) const {
    const std::vector<hsize_t> extents = extents_of(rows);
    return Id(H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr));
  }
  Id selected(hid_t dataset, int64_t first, int64_t count) const {
    Id space(H5Dget_space(dataset));
    std::vector<hsize_t> start(dataset_.extents().size(), 0);
    start[0] = static_cast<hsize_t>(first);
    H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start.data(), nullptr, extents_of(count).data(),
                        nullptr);
    return space;
  }
  void write(const Division& division, std::vector<Written>& parts, int64_t first, int64_t count,
             const std::vector<std::byte>& elements) const {
    const auto bytes = static_cast<size_t>(row_bytes());
    std::vector<std::byte> own;
    for (size_t part = 0; part < parts.size(); ++part) {
      own.clear();
      for (int64_t row = 0; row < count; ++row) {
        const std::byte* element = elements.data() + static_cast<size_t>(row) * bytes;
        if (division.part_of[static_cast<size_t>(first + row)] == part)
          own.insert(own.end(), element, element + bytes);
      }
      const auto own_rows = static_cast<int64_t>(own.size() / bytes);
      if (own_rows == 0) continue;
      Written& written = parts[part];
      const Id space = selected(written.id.get(), written.rows, own_rows), memory = memory_space(own_rows);
      if (H5Dwrite(written.id.get(), written_type_.get(), memory.get(), space.get(), H5P_DEFAULT,
                   own.data()) < 0)
        fail_to_write(division.out, written.name);
      written.rows += own_rows;
    }
  }

  const hdf5::File& file_;
  hdf5::Dataset dataset_;
  bool is_field_;
  Id read_type_, written_type_;  ///< of an element in memory, with the same bytes
};

/// What only training reads as rows of numbers, written as such.
class ReadDivided final : public DividedRows {
 public:
  explicit ReadDivided(std::unique_ptr<StoredRows> rows) : rows_(std::move(rows)) {}

  int64_t rows() const override { return rows_->rows(); }
  int64_t bytes() const override { return rows() * static_cast<int64_t>(row_bytes()); }
  void divide(const Division& division, const std::string& to) const override {
    std::vector<int64_t> written(division.parts.size());
    std::vector<std::vector<std::byte>> pending(division.parts.size());
    const size_t at_once = std::max(row_bytes(), memory_of_part(division) / row_bytes() * row_bytes());
    for (const DivisionPart& part : division.parts)
      division.out.create_dataset(part.group + "/" + to, dtype(), rows_->facts().shape.batched(part.samples));
    const auto flush = [&](size_t part) {
      const auto count = static_cast<int64_t>(pending[part].size() / row_bytes());
      if (count == 0) return;
      division.out.write_rows(division.parts[part].group + "/" + to, written[part],
                              {pending[part].data(), dtype(), rows_->facts().shape.batched(count)});
      written[part] += count;
      pending[part].clear();
    };
    for_each_divided_row(
        division, row_bytes(), rows_->facts().block_rows,
        [&](int64_t first, int64_t count, std::byte* out) { rows_->read_rows(first, count, dtype(), out); },
        [&](uint8_t part, std::span<const std::byte> row) {
          pending[part].insert(pending[part].end(), row.begin(), row.end());
          if (pending[part].size() >= at_once) flush(part);
        });
    for (size_t part = 0; part < pending.size(); ++part) flush(part);
  }

 private:
  /// Holds every value.
  DType dtype() const {
    const hdf5::ElementType& type = rows_->facts().type;
    if (type.exact) return *type.exact;
    if (type.kind == hdf5::ElementType::Kind::floating) return type.bytes > 4 ? DType::f64 : DType::f32;
    return type.bytes < 4 || (type.bytes == 4 && type.is_signed) ? DType::i32 : DType::i64;
  }
  size_t row_bytes() const { return static_cast<size_t>(rows_->facts().shape.elements()) * size_of(dtype()); }

  std::unique_ptr<StoredRows> rows_;
};

/// A group of codes and the categories in which they count: the codes are divided, the categories copied.
class CategoriesDivided final : public DividedRows {
 public:
  CategoriesDivided(const hdf5::File& file, const std::string& group)
      : file_(file), group_(group), codes_(file, group + "/codes") {}

  int64_t rows() const override { return codes_.rows(); }
  int64_t bytes() const override { return codes_.bytes(); }
  void divide(const Division& division, const std::string& to) const override {
    for (const DivisionPart& part : division.parts) {
      const std::string copy = part.group + "/" + to, categories = "/categories";
      division.out.create_group(copy);
      copy_attributes(file_, group_, division.out, copy);
      const hdf5::Lock lock;
      const hdf5::InsideLibhdf5 inside(file_.path().c_str(), group_.c_str());
      if (H5Ocopy(file_.id(), (group_ + categories).c_str(), division.out.id(), (copy + categories).c_str(),
                  H5P_DEFAULT, H5P_DEFAULT) < 0)
        fail_to_write(division.out, copy + categories);
    }
    codes_.divide(division, to + "/codes");
  }

 private:
  const hdf5::File& file_;
  std::string group_;
  RawDivided codes_;
};

}  // namespace

std::unique_ptr<DividedRows> open_to_divide(const hdf5::File& file, const std::string& name,
                                            const RowLayout& layout) {
  const hdf5::Lock lock;
  const bool is_data_set = file.contains_dataset(name);
  if (!is_data_set && CsrRows::is_sparse(file, name)) {
    open_rows(file.path(), name, layout);  // checks it
    return std::make_unique<DividedMatrix>(file, name);
  }
  if (!is_data_set && file.contains_dataset(name + "/codes") && file.contains_dataset(name + "/categories"))
    return std::make_unique<CategoriesDivided>(file, name);
  const bool is_field = !is_data_set && !record_name(file, name).fields.empty();
  // Names of classes stay names.
  if (is_field && layout.are_targets && find_named_values(file, name)) {
    const RecordName field = record_name(file, name);
    return std::make_unique<VariableDivided>(file, field.data_set, field.fields);
  }
  if (layout.sample_axis != 0 || is_field || SeparateRows::is_pattern(file, name))
    return std::make_unique<ReadDivided>(open_rows(file.path(), name, layout));
  require_dataset(file, name);
  if (file.dataset(name).holds_values()) return std::make_unique<RawDivided>(file, name);
  return std::make_unique<VariableDivided>(file, name);
}

}  // namespace lockstep
