#include "io/dataset/layouts/plain_rows.h"

#include <algorithm>
#include <utility>

#include "io/dataset/layouts/record_fields.h"
#include "io/hdf5/chunks/chunk_bytes.h"

namespace lockstep {

void require_dataset(const hdf5::File& file, const std::string& name) {
  if (file.contains(name)) return;
  try {
    file.dataset(name);
  } catch (const Error& error) {
    fail(error.code(), "{} A config names others as {{ files = [\"{}\"], x = \"/NAME\", y = \"/NAME\" }}.",
         error.what(), file.path());
  }
}

namespace {

/// Whether the values of a row along `axis` do not lie side by side.
bool are_strided(const std::vector<int64_t>& extents, size_t axis) {
  return std::any_of(extents.begin(), extents.begin() + static_cast<std::ptrdiff_t>(axis),
                     [](int64_t extent) { return extent > 1; });
}

/// Of rows whose values lie far apart, one costs about as much as many. So that not much is read in vain, a
/// block has at least a few KiB of consecutive bytes at each place.
void make_blocks_of_strided_rows(const hdf5::Dataset& dataset, RowFacts& facts) {
  constexpr int64_t kMinRunBytes = int64_t{4} << 10, kMaxRunBytes = int64_t{64} << 10,
                    kBlockBytes = int64_t{16} << 20;
  const auto element = static_cast<int64_t>(dataset.type().bytes);
  const int64_t row_bytes = facts.shape.elements() * element;
  if (dataset.chunk().empty())
    facts.block_rows = std::min(facts.rows, std::clamp(kBlockBytes / row_bytes, kMinRunBytes / element + 1,
                                                       kMaxRunBytes / element + 1));
  if (facts.block_bytes == 0)
    facts.block_bytes = static_cast<double>(facts.block_rows) * static_cast<double>(row_bytes);
  facts.read_bytes = static_cast<size_t>(row_bytes);
}

}  // namespace

RowFacts facts_of_rows(const hdf5::Dataset& dataset, int axis) {
  const std::vector<int64_t>&extents = dataset.extents(), &chunk = dataset.chunk();
  const auto at = static_cast<size_t>(axis);
  std::vector<int64_t> others(extents);
  others.erase(others.begin() + axis);
  RowFacts facts{.rows = extents[at],
                 .shape = Shape(others),
                 .type = dataset.type(),
                 .axes = extents,
                 .by_libhdf5 = dataset.is_read_by_libhdf5()};
  if (!chunk.empty()) {
    facts.block_rows = std::min(chunk[at], facts.rows);
    for (size_t other = 0; other < chunk.size(); ++other)
      if (other != at)
        facts.block_pieces *= static_cast<double>((extents[other] + chunk[other] - 1) / chunk[other]);
  }
  if (!dataset.filters().empty())
    facts.block_bytes = facts.block_pieces * static_cast<double>(hdf5::chunk_bytes(dataset));
  if (are_strided(extents, at)) make_blocks_of_strided_rows(dataset, facts);
  if (axis > 0)
    facts.notes.push_back(fmt::format(
        "{} {} has its samples on {}", dataset.where(), to_string(Shape(extents)),
        at + 1 == extents.size() ? "the last axis" : fmt::format("axis {}, counted from 0", axis)));
  return facts;
}

PlainRows::PlainRows(hdf5::File opened, const std::string& name, hdf5::Dataset dataset)
    : StoredRows(std::move(opened), name), dataset_(std::move(dataset)) {
  watch(dataset_);
  require_rows_of_numbers(dataset_);
  facts_ = facts_of_rows(dataset_);
}

void require_rows(const hdf5::Dataset& dataset) {
  const auto& extents = dataset.extents();
  if (!dataset.has_data()) fail(ExitCode::data, "{} is a null data set: it has no values.", dataset.where());
  if (extents.empty())
    fail(ExitCode::data, "{} is a single number; it must be an array whose first axis counts the samples.",
         dataset.where());
  if (extents.size() > static_cast<size_t>(Shape::kMaxRank))
    fail(ExitCode::data, "{} has {} axes; at most {} are supported. Merge some of them.", dataset.where(),
         extents.size(), Shape::kMaxRank);
  if (extents[0] == 0)
    fail(ExitCode::data, "{} has no samples: its shape is {}.", dataset.where(), to_string(Shape(extents)));
  if (dataset.elements() == 0)
    fail(ExitCode::data, "{} has samples without values: its shape is {}.", dataset.where(),
         to_string(Shape(extents)));
  dataset.require_filters();
}

[[noreturn]] static void fail_for_table(const hdf5::Dataset& dataset) {
  const std::vector<RecordField> fields = fields_of(dataset);
  const std::string naming = naming_fields(dataset, fields);
  fail(ExitCode::data, "{} is a table with the fields {}. {}", dataset.where(), fields_in_words(fields),
       naming.empty() ? "None of them holds numbers."
                      : fmt::format("Name those to read: {}; likewise for y.", naming));
}

void require_rows_of_numbers(const hdf5::Dataset& dataset) {
  if (!dataset.has_data()) return require_rows(dataset);
  if (dataset.type().name == "string")
    fail(
        ExitCode::data,
        "{} holds text (strings). Samples must be numbers; so must targets, unless they are names of classes.",
        dataset.where());
  if (dataset.type().name == "compound") fail_for_table(dataset);
  if (dataset.type().kind == hdf5::ElementType::Kind::other)
    fail(ExitCode::data,
         "{} holds values of type {}; samples and targets must be integers or floating-point numbers. Write "
         "them as one of these.",
         dataset.where(), dataset.type().name);
  if (dataset.type().bytes > 8)
    fail(ExitCode::data, "{} holds {}; numbers of more than 64 bits are not supported. Store it as float64.",
         dataset.where(), dataset.type().name);
  require_rows(dataset);
}

}  // namespace lockstep
