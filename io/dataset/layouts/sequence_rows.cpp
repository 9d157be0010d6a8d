#include "io/dataset/layouts/sequence_rows.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <utility>

#include "io/dataset/layouts/plain_rows.h"
#include "io/hdf5/element_type.h"
#include "io/hdf5/elements/heap_reader.h"
#include "io/hdf5/filters/filters.h"

namespace lockstep {

namespace {

constexpr int64_t kMaxLength = int64_t{1} << 28;
constexpr int64_t kPieceReferences = int64_t{1} << 16;  // whose references are read at a time

hdf5::Id item_type(const hdf5::Dataset& dataset) { return hdf5::Id(H5Tget_super(dataset.type_id())); }

hdf5::NumberType number_of(const hdf5::Dataset& dataset) {
  const hdf5::Lock lock;
  const std::optional<hdf5::NumberType> number = hdf5::number_type(item_type(dataset).get());
  if (!number)
    fail(ExitCode::data, "{} holds sequences of {}; they must be of integers or floating-point numbers.",
         dataset.where(), hdf5::element_type(item_type(dataset).get()).name);
  return *number;
}

/// A number as `dtype`, in `out`.
std::array<std::byte, sizeof(double)> as_type(double value, DType dtype) {
  std::array<std::byte, sizeof(double)> out{};
  const auto whole = static_cast<int64_t>(value);
  const bool is_integer = dtype == DType::u8 || dtype == DType::i32 || dtype == DType::i64;
  const hdf5::Convert convert =
      hdf5::conversion({is_integer ? hdf5::Number::i64 : hdf5::Number::f64, false}, dtype);
  // 16 bits: only zero is asked for, which is all zeros.
  if (convert != nullptr)
    convert(
        is_integer ? reinterpret_cast<const std::byte*>(&whole) : reinterpret_cast<const std::byte*>(&value),
        1, out.data());
  return out;
}

/// Calls visit(first row, references) for all rows in pieces.
template <typename Visit>
void for_each_references(const hdf5::Dataset& dataset, Visit visit) {
  std::vector<std::byte> references;
  const int64_t rows = dataset.extents()[0];
  for (int64_t first = 0; first < rows; first += kPieceReferences) {
    const int64_t count = std::min(kPieceReferences, rows - first);
    references.resize(static_cast<size_t>(count) * dataset.type().bytes);
    dataset.read_rows(first, count, std::nullopt, references.data());
    visit(first, std::span<const std::byte>(references));
  }
}

/// The lengths of the shortest and the longest sequence, the row of that, and the length of all.
struct Lengths {
  int64_t shortest = INT64_MAX, longest = 0, longest_row = 0;
  double sum = 0;
};

Lengths measured(const hdf5::Dataset& dataset) {
  Lengths lengths;
  for_each_references(dataset, [&](int64_t first, std::span<const std::byte> references) {
    const size_t bytes = dataset.type().bytes;
    for (size_t i = 0; i < references.size() / bytes; ++i) {
      const int64_t length = hdf5::items_of(references.subspan(i * bytes, bytes));
      lengths.shortest = std::min(lengths.shortest, length);
      lengths.sum += static_cast<double>(length);
      if (length <= lengths.longest) continue;
      lengths.longest = length;
      lengths.longest_row = first + static_cast<int64_t>(i);
    }
  });
  return lengths;
}

/// What is said of sequences that are padded to `length` with `padding`.
std::string note_on(const std::string& where, int64_t rows, const Lengths& lengths, int64_t length,
                    double padding) {
  const std::string text =
      fmt::format("{} holds sequences of {} to {} values, which are padded to {} with {:g}", where,
                  lengths.shortest, lengths.longest, length, padding);
  const double share = 1 - lengths.sum / (static_cast<double>(rows) * static_cast<double>(length));
  if (share < 0.25) return text;
  return fmt::format("{}: {:.0f} % of the values are then padding (see data.buckets)", text, 100 * share);
}

void require_sequences(const hdf5::Dataset& dataset) {
  require_rows(dataset);
  number_of(dataset);
  hdf5::HeapReader reader(dataset);  // throws if they cannot be read
}

}  // namespace

bool SequenceRows::holds_sequences(const hdf5::Dataset& dataset) {
  const hdf5::Lock lock;
  return H5Tget_class(dataset.type_id()) == H5T_VLEN && dataset.extents().size() == 1;
}

int64_t SequenceRows::longest(const hdf5::Dataset& dataset) {
  require_sequences(dataset);
  return measured(dataset).longest;
}

SequenceRows::SequenceRows(hdf5::File opened, const std::string& name, int64_t length, double padding)
    : StoredRows(std::move(opened), name),
      dataset_(file().dataset(name, 0)),
      number_(number_of(dataset_)),
      padding_(padding) {
  const hdf5::Lock lock;
  watch(dataset_);
  require_sequences(dataset_);
  const Lengths lengths = measured(dataset_);
  if (lengths.longest == 0)
    fail(ExitCode::data, "{} holds {} sequences, all of them empty.", where(), dataset_.extents()[0]);
  if (length > 0 && lengths.longest > length)
    fail(
        ExitCode::data,
        "{}: sample {} is a sequence of {} values, but samples are padded to {}, by data.length or the longest of the training data. Cut it, or "
        "set data.length = {} to train with longer samples.",
        where(), lengths.longest_row, lengths.longest, length, lengths.longest);
  if (length == 0) length = lengths.longest;
  if (length > kMaxLength)
    fail(ExitCode::data, "{}: sample {} is a sequence of {} values; at most {} are supported.", where(),
         lengths.longest_row, lengths.longest, kMaxLength);
  facts_.rows = dataset_.extents()[0];
  facts_.shape = {length};
  facts_.type = hdf5::element_type(item_type(dataset_).get());
  facts_.read_bytes = dataset_.type().bytes + static_cast<size_t>(lengths.longest) * facts_.type.bytes;
  facts_.is_padded = lengths.shortest < length;
  // A damaged length would claim memory for every row, so the longest sequence is read once.
  const hdf5::RowRun longest{lengths.longest_row, 1};
  for_each_sequence({&longest, 1}, [](std::span<const std::byte>) {});
  if (facts_.is_padded) facts_.notes.push_back(note_on(where(), facts_.rows, lengths, length, padding));
}

void SequenceRows::for_each_sequence(std::span<const hdf5::RowRun> runs,
                                     const std::function<void(std::span<const std::byte>)>& visit) const {
  const size_t element = dataset_.type().bytes;
  const auto max_bytes = static_cast<size_t>(facts_.shape[0]) * facts_.type.bytes;
  hdf5::HeapReader heap(dataset_);
  std::vector<std::byte> references;
  for (const hdf5::RowRun& run : runs) {
    references.resize(static_cast<size_t>(run.count) * element);
    dataset_.read_rows(run.first, run.count, std::nullopt, references.data());
    for (int64_t row = 0; row < run.count; ++row) {
      const auto reference = std::span(references).subspan(static_cast<size_t>(row) * element, element);
      try {
        const std::span<const std::byte> values = heap.get(reference, facts_.type.bytes);
        if (values.size() > max_bytes)
          throw filters::BadChunk(fmt::format("it has {} values now", values.size() / facts_.type.bytes));
        visit(values);
      } catch (const filters::BadChunk& e) {
        fail(ExitCode::data,
             "{}: sample {} cannot be read: {}. Copy or download the file again, or recreate it.", where(),
             run.first + row, e.what());
      }
    }
  }
}

std::vector<int64_t> SequenceRows::lengths_of(int64_t first, int64_t count) const {
  if (!facts_.is_padded) return {};
  const size_t bytes = dataset_.type().bytes;
  std::vector<std::byte> references(static_cast<size_t>(count) * bytes);
  dataset_.read_rows(first, count, std::nullopt, references.data());
  std::vector<int64_t> lengths;
  for (size_t at = 0; at < references.size(); at += bytes)
    lengths.push_back(std::min(hdf5::items_of(std::span(references).subspan(at, bytes)), facts_.shape[0]));
  return lengths;
}

void SequenceRows::read_runs(std::span<const hdf5::RowRun> runs, DType dtype, std::byte* out) const {
  const hdf5::Convert convert = hdf5::conversion(number_, dtype);
  if (convert == nullptr)
    fail(ExitCode::data, "{} holds {}, which cannot be read as {}.", where(), facts_.type.name,
         to_string(dtype));
  INVARIANT(dtype != DType::u8 || (padding_ >= 0 && padding_ <= UINT8_MAX), "bytes are padded with {}",
            padding_);
  const auto padding = as_type(padding_, dtype);
  const size_t bytes = size_of(dtype), length = static_cast<size_t>(facts_.shape[0]);
  for_each_sequence(runs, [&](std::span<const std::byte> values) {
    const size_t items = values.size() / facts_.type.bytes;
    convert(values.data(), items, out);
    out += items * bytes;
    for (size_t i = items; i < length; ++i, out += bytes) std::memcpy(out, padding.data(), bytes);
  });
}

int64_t longest_sequence(const std::vector<std::string>& files, const std::string& name) {
  int64_t longest = 0;
  for (const std::string& path : files) {
    const hdf5::File file = hdf5::File::open(path);
    if (!file.contains_dataset(name)) return 0;
    const hdf5::Dataset dataset = file.dataset(name, 0);
    if (!SequenceRows::holds_sequences(dataset)) return 0;
    longest = std::max(longest, SequenceRows::longest(dataset));
  }
  return longest;
}

}  // namespace lockstep
