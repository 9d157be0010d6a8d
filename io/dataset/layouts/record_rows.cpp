#include "io/dataset/layouts/record_rows.h"

#include <utility>

#include "io/dataset/layouts/axis_rows.h"
#include "io/dataset/layouts/plain_rows.h"

namespace lockstep {

RecordRows::RecordRows(hdf5::File opened, const std::string& name, hdf5::Dataset dataset,
                       std::vector<RecordField> fields, int axis)
    : StoredRows(std::move(opened), name),
      dataset_(std::move(dataset)),
      fields_(std::move(fields)),
      axis_(axis) {
  watch(dataset_);
  require_rows(dataset_);
  require_numbers(dataset_, fields_);
  facts_ = facts_of_rows(dataset_, axis_);
  facts_.read_bytes = static_cast<size_t>(facts_.shape.elements()) * dataset_.type().bytes;
  facts_.type = common_type(fields_);
  std::vector<int64_t> extents = extents_of(facts_.shape);
  if (fields_.size() == 1) {
    extents.insert(extents.end(), fields_[0].extents.begin(), fields_[0].extents.end());
  } else {
    extents.push_back(0);
    for (const RecordField& field : fields_) extents.back() += field.count();
  }
  if (extents.size() + 1 > static_cast<size_t>(Shape::kMaxRank))
    fail(ExitCode::data, "{} has, with its fields, {} axes; at most {} are supported.", where(),
         extents.size() + 1, Shape::kMaxRank);
  facts_.shape = Shape(extents);
  facts_.has_channels = fields_.size() > 1;
  if (is_complex(dataset_.type()))
    facts_.notes.push_back(
        fmt::format("{} holds {}, read as two channels on a new last axis: real and imaginary parts", where(),
                    dataset_.type().name));
}

void RecordRows::read_runs(std::span<const hdf5::RowRun> runs, DType dtype, std::byte* out) const {
  const size_t record_bytes = dataset_.type().bytes, size = size_of(dtype);
  size_t rows = 0;
  for (const hdf5::RowRun& run : runs) rows += static_cast<size_t>(run.count);
  const auto records = std::make_unique_for_overwrite<std::byte[]>(rows * facts_.read_bytes);
  if (axis_ == 0) {
    dataset_.read_runs(runs, std::nullopt, records.get());
  } else {
    std::byte* at = records.get();
    for (const hdf5::RowRun& run : runs) {
      read_along(dataset_, axis_, run.first, run.count, std::nullopt, at);
      at += static_cast<size_t>(run.count) * facts_.read_bytes;
    }
  }
  std::vector<hdf5::Convert> converts;
  for (const RecordField& field : fields_) {
    converts.push_back(hdf5::conversion(*field.number, dtype));
    INVARIANT(converts.back() != nullptr, "{} of {} as {}", field.name, where(), to_string(dtype));
  }
  const std::byte* record = records.get();
  const std::byte* const end = record + rows * facts_.read_bytes;
  for (; record < end; record += record_bytes) {
    for (size_t i = 0; i < fields_.size(); ++i) {
      const auto count = static_cast<size_t>(fields_[i].count());
      converts[i](record + fields_[i].offset, count, out);
      out += count * size;
    }
  }
}

}  // namespace lockstep
