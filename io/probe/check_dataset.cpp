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
#include "io/dataset/targets/label_counts.h"
#include "io/dataset/targets/target_names.h"
#include "io/hdf5/elements/text_reader.h"
#include "io/hdf5/sources/sources.h"
#include "io/hdf5/walk.h"
#include "io/probe/probe.h"

namespace lockstep {

namespace {

constexpr double kLargestLabelShown = 9999;
constexpr int64_t kTextRows = 4096;  // read at a time

/// Statistics of values that arrive in pieces.
struct Statistics {
  double min = std::numeric_limits<double>::infinity(), max = -min, sum = 0;
  int64_t values = 0, not_finite = 0;
  bool scalar = false;  ///< one number a sample
  LabelCounts labels;

  void add(std::span<const double> piece) {
    for (const double value : piece) add(value, 1);
  }
  /// The same value `times` times.
  void add(double value, int64_t times) {
    if (times == 0) return;
    values += times;
    if (scalar) labels.add(value, times);
    if (!std::isfinite(value)) {
      not_finite += times;
      return;
    }
    min = std::min(min, value);
    max = std::max(max, value);
    sum += value * static_cast<double>(times);
  }
};

/// Reads all text. If it is names of classes, which targets must be, counts them.
void check_text(const hdf5::File& file, DatasetCheck& result, std::vector<std::string>& problems) {
  const std::string& name = result.description.name;
  try {
    const std::optional<NamedValues> values = find_named_values(file, name);
    const int64_t rows = values->values.extents()[0];
    for (int64_t row = 0; row < rows; row += kTextRows) {
      read_class_names(*values, row, std::min(kTextRows, rows - row), [](int64_t, std::string_view) {});
      note_probe_progress();
    }
    result.values = values->values.elements();
  } catch (const Error& e) {
    problems.emplace_back(e.what());
    return;
  }
  try {
    TargetNames names = find_target_names({file.path()}, name, {});
    NameCounts counts;
    counts.add(*find_named_values(file, name));
    result.class_names = std::move(names.names);
    result.label_counts = counts.counts();
  } catch (const Error&) {
    // Some other text; of targets, check_groups() says so.
  }
}

/// Reads all rows. where: names a value by its place in its row.
void check_rows(const StoredRows& rows, const std::function<std::string(int64_t)>& where,
                std::vector<std::string>& problems) {
  const int64_t width = rows.facts().shape.elements();
  const int64_t piece = rows.rows_of_a_piece(static_cast<size_t>(width) * sizeof(double));
  std::vector<double> values;
  for (int64_t first = 0; first < rows.rows(); first += piece) {
    const int64_t count = std::min(piece, rows.rows() - first);
    values.resize(static_cast<size_t>(count * width));
    rows.read_rows(first, count, DType::f64, reinterpret_cast<std::byte*>(values.data()));
    note_probe_progress();
    const auto bad = std::ranges::find_if(values, [](double value) { return !std::isfinite(value); });
    if (bad == values.end()) continue;
    const int64_t place = bad - values.begin();
    problems.push_back(fmt::format("{} holds NaN or infinity, the first in sample {}.", where(place % width),
                                   first + place / width));
    return;
  }
}

/// Sequences, images, or complex numbers.
void check_each_row(const hdf5::Dataset& dataset, std::vector<std::string>& problems) {
  const std::unique_ptr<StoredRows> rows = open_rows(dataset.file(), dataset.name());
  check_rows(
      *rows, [&](int64_t) { return dataset.where(); }, problems);
}

/// All numbers of a table.
void check_table(const hdf5::Dataset& dataset, std::vector<std::string>& problems) {
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
  check_rows(rows, where, problems);
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

bool is_decoded_by_row(const hdf5::Dataset& dataset) {
  return SequenceRows::holds_sequences(dataset) || ImageRows::holds_images(dataset);
}

DatasetCheck check_dataset(const hdf5::File& file, const hdf5::Dataset& dataset,
                           DatasetDescription description, const CheckProgress& progress,
                           std::vector<std::string>& problems) {
  DatasetCheck result;
  result.description = std::move(description);
  if (result.description.broken) problems.push_back(result.description.problem);
  if (!result.description.written) return result;
  const bool is_record = !result.description.usable_as.empty();
  if (is_record || (result.description.usable && is_decoded_by_row(dataset))) {
    try {
      const bool is_table = is_record && !is_complex(dataset.type());
      is_table ? check_table(dataset, problems) : check_each_row(dataset, problems);
      result.values = dataset.elements();
    } catch (const Error& e) {
      problems.emplace_back(e.what());
    }
    return result;
  }
  if (!result.description.usable) return result;
  if (hdf5::holds_text(dataset)) {
    check_text(file, result, problems);
    return result;
  }
  Statistics statistics;
  statistics.scalar = dataset.elements() == dataset.extents()[0];
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
  result.values = statistics.values;
  result.not_finite = statistics.not_finite;
  if (const int64_t finite = statistics.values - statistics.not_finite; finite > 0) {
    result.min = statistics.min;
    result.max = statistics.max;
    result.mean = statistics.sum / static_cast<double>(finite);
  }
  const bool integers = dataset.type().kind == hdf5::ElementType::Kind::integer;
  if (statistics.labels.labels_up_to(kLargestLabelShown) &&
      kind_of_numbers(statistics.labels, integers, TargetTask::automatic) == TargetKind::classes)
    result.label_counts = statistics.labels.counts();
  if (statistics.not_finite > 0)
    problems.push_back(fmt::format("{} holds NaN or infinity in {} of {} values, {}.", dataset.where(),
                                   statistics.not_finite, statistics.values,
                                   first_bad >= 0 ? fmt::format("the first in sample {}", first_bad)
                                                  : "all in chunks that were never written"));
  return result;
}

}  // namespace lockstep
