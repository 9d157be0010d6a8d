#include "io/probe/check_dataset.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "io/dataset/layouts/image_rows.h"
#include "io/dataset/layouts/open_rows.h"
#include "io/dataset/layouts/record_fields.h"
#include "io/dataset/layouts/record_rows.h"
#include "io/dataset/layouts/sequence_rows.h"
#include "io/dataset/targets/class_names.h"
#include "io/hdf5/elements/text_reader.h"
#include "io/hdf5/sources/sources.h"
#include "io/hdf5/walk.h"
#include "io/probe/probe.h"

namespace lockstep {

namespace {

constexpr int64_t kTextRows = 4096;  // read at a time

/// Statistics of values that arrive in pieces.
struct Statistics {
  double min = std::numeric_limits<double>::infinity(), max = -min, sum = 0;
  int64_t values = 0, not_finite = 0;

  void add(std::span<const double> piece) {
    for (const double value : piece) add(value, 1);
  }
  /// The same value `times` times.
  void add(double value, int64_t times) {
    if (times == 0) return;
    values += times;
    if (!std::isfinite(value)) {
      not_finite += times;
      return;
    }
    min = std::min(min, value);
    max = std::max(max, value);
    sum += value * static_cast<double>(times);
  }
  void put_into(DatasetCheck& check) const {
    check.values = values;
    check.not_finite = not_finite;
    const int64_t finite = values - not_finite;
    check.has_numbers = finite > 0;
    if (finite == 0) return;
    check.min = min;
    check.max = max;
    check.mean = sum / static_cast<double>(finite);
  }
};

void check_text(const hdf5::File& file, DatasetCheck& result) {
  const std::optional<NamedValues> values = find_named_values(file, result.description.name);
  const int64_t rows = values->values.extents()[0];
  for (int64_t row = 0; row < rows; row += kTextRows) {
    read_class_names(*values, row, std::min(kTextRows, rows - row), [](int64_t, std::string_view) {});
    note_probe_progress();
  }
  result.values = values->values.elements();
}

/// Reads all rows. where: names a value by its place in its row.
void check_rows(const StoredRows& rows, const std::function<std::string(int64_t)>& where,
                DatasetCheck& result, std::vector<std::string>& problems) {
  const int64_t width = rows.facts().shape.elements();
  const int64_t piece = rows.rows_of_a_piece(static_cast<size_t>(width) * sizeof(double));
  Statistics statistics;
  int64_t first_bad = -1;
  std::string where_bad;
  std::vector<double> values;
  for (int64_t first = 0; first < rows.rows(); first += piece) {
    const int64_t count = std::min(piece, rows.rows() - first);
    values.resize(static_cast<size_t>(count * width));
    rows.read_rows(first, count, DType::f64, reinterpret_cast<std::byte*>(values.data()));
    note_probe_progress();
    const std::vector<int64_t> lengths = rows.lengths_of(first, count);
    for (int64_t row = 0; row < count; ++row) {
      const std::span<const double> own(
          values.data() + row * width,
          static_cast<size_t>(lengths.empty() ? width : lengths[static_cast<size_t>(row)]));
      statistics.add(own);
      if (first_bad >= 0 || statistics.not_finite == 0) continue;
      const auto bad = std::ranges::find_if(own, [](double value) { return !std::isfinite(value); });
      first_bad = first + row;
      where_bad = where(bad - own.begin());
    }
  }
  statistics.put_into(result);
  if (first_bad < 0) return;
  problems.push_back(
      fmt::format("{} holds {} in {} of {} values, the first in sample {}.{}", where_bad,
                  rows.facts().has_missing ? "NaN, infinity or missing values" : "NaN or infinity",
                  statistics.not_finite, statistics.values, first_bad,
                  rows.facts().has_missing ? " data.missing = NUMBER says what they are read as." : ""));
}

/// All numbers of a table.
void check_table(const hdf5::Dataset& dataset, DatasetCheck& result, std::vector<std::string>& problems) {
  std::vector<RecordField> fields = fields_of(dataset);
  std::erase_if(fields, [](const RecordField& field) { return !field.number; });
  hdf5::File file = hdf5::File::open(dataset.file());
  hdf5::Dataset own = file.dataset(dataset.name(), 0);
  const RecordRows rows(std::move(file), dataset.name(), std::move(own), fields, 0);
  const auto where = [&](int64_t place) {
    size_t field = 0;
    while (place >= fields[field].count()) place -= fields[field++].count();
    return fmt::format("{}.{}", dataset.where(), printable(fields[field].name));
  };
  check_rows(rows, where, result, problems);
}

}  // namespace

double bytes_of(const hdf5::Dataset& dataset) {
  if (dataset.type().kind == hdf5::ElementType::Kind::other) return 0;
  auto bytes = static_cast<double>(dataset.type().bytes);
  for (const int64_t extent : dataset.extents()) bytes *= static_cast<double>(extent);
  return bytes;
}

void CheckProgress::note(double more) const {
  constexpr double kMaxBytes = 0x1p62;
  note_probe_work(static_cast<int64_t>(std::min(done + more, kMaxBytes)),
                  static_cast<int64_t>(std::min(all, kMaxBytes)));
}

/// Rows that are not the stored numbers themselves: packed ones, sequences, images, complex numbers.
static void check_layout(const StoredRows& rows, const hdf5::Dataset& dataset, DatasetCheck& result,
                         std::vector<std::string>& problems) {
  check_rows(
      rows, [&](int64_t) { return dataset.where(); }, result, problems);
  result.values = dataset.elements();
}

bool is_decoded_by_row(const hdf5::Dataset& dataset) {
  return SequenceRows::holds_sequences(dataset) || ImageRows::holds_images(dataset);
}

/// A data set of numbers that are what they are, in boxes, so that a sample need not fit into memory.
static void check_plain(const hdf5::Dataset& dataset, const CheckProgress& progress, DatasetCheck& result,
                        std::vector<std::string>& problems) {
  Statistics statistics;
  int64_t first_bad = -1;
  const auto take = [&](std::span<const double> values, const std::vector<hsize_t>& start,
                        const std::vector<hsize_t>& size) {
    const int64_t bad_before = statistics.not_finite;
    statistics.add(values);
    progress.note(static_cast<double>(statistics.values) * static_cast<double>(dataset.type().bytes));
    if (statistics.not_finite == bad_before) return;
    const auto bad = std::ranges::find_if(values, [](double value) { return !std::isfinite(value); });
    const auto row_values = static_cast<int64_t>(values.size() / size[0]);
    const int64_t row = static_cast<int64_t>(start[0]) + (bad - values.begin()) / row_values;
    if (first_bad < 0 || row < first_bad) first_bad = row;
  };
  try {
    // libhdf5 reads the sources of a virtual data set without checking the decoded size of their chunks.
    if (dataset.layout() == "virtual") hdf5::require_sources(dataset, /*thorough=*/false, /*decode=*/true);
    const hdf5::Unwritten unwritten = hdf5::walk_values(dataset, take);
    statistics.add(unwritten.value, unwritten.elements);
  } catch (const Error& e) {
    problems.emplace_back(e.what());
  }
  statistics.put_into(result);
  if (statistics.not_finite > 0)
    problems.push_back(fmt::format("{} holds NaN or infinity in {} of {} values, {}.", dataset.where(),
                                   statistics.not_finite, statistics.values,
                                   first_bad >= 0 ? fmt::format("the first in sample {}", first_bad)
                                                  : "all in chunks that were never written"));
}

DatasetCheck check_dataset(const hdf5::File& file, const hdf5::Dataset& dataset,
                           DatasetDescription description, const CheckProgress& progress,
                           std::vector<std::string>& problems) {
  DatasetCheck result{.description = std::move(description)};
  if (result.description.broken) problems.push_back(result.description.problem);
  const bool is_table = !result.description.usable_as.empty() && !is_complex(dataset.type());
  if (!result.description.written || (!result.description.usable && result.description.usable_as.empty()))
    return result;
  try {
    if (is_table) {
      check_table(dataset, result, problems);
      result.values = dataset.elements();
    } else if (hdf5::holds_text(dataset)) {
      check_text(file, result);
    } else {
      // As targets, integers keep a _FillValue, which may be a label to ignore.
      const RowLayout layout{.are_targets = dataset.name().ends_with("/y")};
      const std::unique_ptr<StoredRows> rows = open_rows(dataset.file(), dataset.name(), layout);
      if (rows->plain() != nullptr)
        check_plain(dataset, progress, result, problems);
      else
        check_layout(*rows, dataset, result, problems);
    }
  } catch (const Error& e) {
    problems.emplace_back(e.what());
  }
  return result;
}

DatasetCheck check_sparse_matrix(const hdf5::File& file, const std::string& group,
                                 std::vector<std::string>& problems) {
  DatasetCheck result;
  DatasetDescription& matrix = result.description;
  matrix.name = group;
  matrix.layout = "sparse";
  try {
    const std::unique_ptr<StoredRows> rows = open_rows(file.path(), group);
    matrix.shape = {rows->rows(), rows->facts().shape.elements()};
    matrix.type = rows->facts().type.name;
    matrix.usable = true;
    // NaN in it is a problem of its data set already.
    std::vector<std::string> of_values;
    check_rows(
        *rows, [&](int64_t) { return rows->where(); }, result, of_values);
  } catch (const Error& e) {
    matrix.problem = e.what();
    problems.emplace_back(e.what());
  }
  return result;
}

}  // namespace lockstep
