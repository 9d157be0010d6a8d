#include "io/dataset/targets/class_names.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "io/dataset/layouts/record_fields.h"
#include "io/dataset/targets/label_counts.h"
#include "io/hdf5/elements/text_reader.h"
#include "src/core/text/printable.h"

namespace lockstep {

namespace {

constexpr size_t kMaxNameBytes = 1024;
constexpr size_t kMaxNamesBytes = size_t{256} << 20;  // of all names
constexpr int64_t kNamePieceBytes = int64_t{4} << 20;

/// The names of an enumeration's members by their values; empty for other types.
std::map<int64_t, std::string> members_of(const hdf5::Dataset& dataset, hid_t stored) {
  std::map<int64_t, std::string> members;
  const hdf5::Lock lock;
  if (H5Tget_class(stored) != H5T_ENUM) return members;
  // Not by H5Tget_native_type(): libhdf5 1.10 writes past its memory if the sizes differ in a damaged file.
  const hdf5::Id integer(H5Tget_super(stored));
  if (!integer || H5Tget_class(integer.get()) != H5T_INTEGER ||
      H5Tget_size(integer.get()) > sizeof(int64_t) || H5Tget_size(integer.get()) != H5Tget_size(stored))
    fail(ExitCode::data, "{} is damaged: its enumeration is no set of integers of its size.",
         dataset.where());
  for (int i = 0; i < H5Tget_nmembers(stored); ++i) {
    const auto member = static_cast<unsigned>(i);
    int64_t value = 0;
    char* name = H5Tget_member_name(stored, member);
    const std::string text = name != nullptr ? printable(name) : "";
    H5free_memory(name);
    if (H5Tget_member_value(stored, member, &value) < 0 ||
        H5Tconvert(integer.get(), H5T_NATIVE_INT64, 1, &value, nullptr, H5P_DEFAULT) < 0)
      fail(ExitCode::data, "{} is damaged: its enumeration cannot be read: {}.", dataset.where(),
           hdf5::last_error());
    members[value] = text;
  }
  return members;
}

int64_t elements_of_row(const hdf5::Dataset& dataset) {
  return dataset.elements() / std::max<int64_t>(1, dataset.extents().at(0));
}

/// A field of records that is text or an enumeration; none if it is neither, or an array.
std::optional<NamedValues> named_field(const hdf5::File& file, const RecordName& name) {
  hdf5::Dataset dataset = file.dataset(name.data_set, 0);
  const hdf5::Id type = type_of_field(dataset, name.fields);
  if (!type || !dataset.has_data() || dataset.extents().empty()) return std::nullopt;
  if (hdf5::text_place(type.get()))
    return NamedValues{NamedValues::Kind::text, std::move(dataset), name.fields};
  std::map<int64_t, std::string> members = members_of(dataset, type.get());
  if (members.empty()) return std::nullopt;
  return NamedValues{NamedValues::Kind::enumeration, std::move(dataset), name.fields, std::move(members)};
}

RecordField field_of(const NamedValues& values) {
  const std::vector<RecordField> fields = fields_of(values.values);
  const auto found = std::ranges::find(fields, values.field, &RecordField::name);
  INVARIANT(found != fields.end(), "{}", values.where());
  return *found;
}

hdf5::TextReader text_reader(const NamedValues& values) {
  if (values.field.empty()) return hdf5::TextReader(values.values);
  const hdf5::Id type = type_of_field(values.values, values.field);
  return {values.values, hdf5::text_place(type.get(), field_of(values).offset).value()};
}

/// The values of an enumeration or of codes.
std::vector<int64_t> read_numbers(const NamedValues& values, int64_t first, int64_t count) {
  const hdf5::Dataset& dataset = values.values;
  std::vector<int64_t> numbers(static_cast<size_t>(count * elements_of_row(dataset)));
  if (values.field.empty()) {
    dataset.read_rows(first, count, DType::i64, numbers.data());
    return numbers;
  }
  const RecordField field = field_of(values);
  require_numbers(dataset, {field});
  const hdf5::Convert convert = hdf5::conversion(*field.number, DType::i64);
  INVARIANT(convert != nullptr, "{} as int64", values.where());
  std::vector<std::byte> records(numbers.size() * dataset.type().bytes);
  dataset.read_rows(first, count, std::nullopt, records.data());
  for (size_t i = 0; i < numbers.size(); ++i)
    convert(records.data() + i * dataset.type().bytes + field.offset, 1,
            reinterpret_cast<std::byte*>(&numbers[i]));
  return numbers;
}

NamedValues categorical_values(const hdf5::File& file, const std::string& group) {
  NamedValues found{
      NamedValues::Kind::categories, file.dataset(group + "/codes", 0), "", {}, group + "/categories"};
  const hdf5::Dataset categories = file.dataset(found.categories, 0);
  if (!hdf5::holds_text(categories) || categories.extents().size() != 1)
    fail(ExitCode::data, "{} holds {}; names of classes must be a list of strings.", categories.where(),
         categories.type().name);
  if (found.values.type().kind != hdf5::ElementType::Kind::integer)
    fail(ExitCode::data, "{} holds {}; it must hold integers that count in {}.", found.values.where(),
         found.values.type().name, found.categories);
  const int64_t count = categories.extents()[0];
  if (count > kMaxClasses)
    fail(ExitCode::data, "{} holds {} names; at most {} classes are supported.", categories.where(), count,
         kMaxClasses);
  if (count > 0)
    hdf5::TextReader(categories).read(0, count, [&](int64_t element, std::string_view text) {
      found.names[element] = printable(text.substr(0, kMaxNameBytes));
    });
  return found;
}

}  // namespace

ClassNames NamedValues::numbered() const {
  ClassNames list;
  if (names.empty() || names.begin()->first != 0 ||
      names.rbegin()->first != static_cast<int64_t>(names.size()) - 1)
    return list;
  for (const auto& [value, text] : names) list.push_back(text);
  return list;
}

std::string NamedValues::where() const {
  return field.empty() ? values.where() : fmt::format("{}.{}", values.where(), printable(field));
}

std::vector<std::string> NamedValues::data_sets() const {
  if (categories.empty()) return {values.name()};
  return {values.name(), categories};
}

std::optional<NamedValues> find_named_values(const hdf5::File& file, const std::string& name) {
  const hdf5::Lock lock;
  if (!file.contains_dataset(name)) {
    if (const RecordName meant = record_name(file, name); !meant.fields.empty())
      return named_field(file, meant);
    if (!file.contains_dataset(name + "/codes") || !file.contains_dataset(name + "/categories"))
      return std::nullopt;
    return categorical_values(file, name);
  }
  hdf5::Dataset dataset = file.dataset(name, 0);
  if (!dataset.has_data() || dataset.extents().empty()) return std::nullopt;
  if (hdf5::holds_text(dataset)) return NamedValues{NamedValues::Kind::text, std::move(dataset)};
  std::map<int64_t, std::string> members = members_of(dataset, dataset.type_id());
  if (members.empty()) return std::nullopt;
  return NamedValues{NamedValues::Kind::enumeration, std::move(dataset), "", std::move(members)};
}

void read_class_names(const NamedValues& values, int64_t first, int64_t count,
                      const std::function<void(int64_t, std::string_view)>& visit) {
  if (values.kind == NamedValues::Kind::text) return text_reader(values).read(first, count, visit);
  const int64_t in_row = elements_of_row(values.values);
  const std::vector<int64_t> numbers = read_numbers(values, first, count);
  for (int64_t element = 0; element < count * in_row; ++element) {
    const int64_t number = numbers[static_cast<size_t>(element)];
    const auto name = values.names.find(number);
    if (name == values.names.end())
      fail(ExitCode::data,
           "{}: sample {} has the value {}, which has no name there. Repair it, or leave out such samples.",
           values.where(), first + element / in_row, number);
    visit(element, name->second);
  }
}

void NameCounts::add(const NamedValues& values) {
  const hdf5::Dataset& dataset = values.values;
  const int64_t rows = dataset.extents().at(0), in_row = elements_of_row(dataset);
  const int64_t row_bytes = in_row * static_cast<int64_t>(std::max<size_t>(dataset.type().bytes, 1));
  const int64_t chunk = dataset.chunk().empty() ? 1 : dataset.chunk()[0];
  const int64_t piece = std::max<int64_t>(1, kNamePieceBytes / row_bytes / chunk) * chunk;
  for (int64_t first = 0; first < rows; first += piece) {
    read_class_names(values, first, std::min(piece, rows - first), [&](int64_t element, std::string_view name) {
      ++elements_;
      if (const auto known = counts_.find(name); known != counts_.end()) {
        ++known->second;
        return;
      }
      const int64_t row = first + element / in_row;
      if (name.empty())
        fail(
            ExitCode::data,
            "{}: sample {} has an empty text where others have the name of a class. Name its class, or leave "
            "out such samples.",
            values.where(), row);
      if (name.size() > kMaxNameBytes)
        fail(
            ExitCode::data,
            "{}: sample {} has a text of {} bytes, which is no name of a class. Targets are names of at most "
            "{} bytes, or numbers.",
            values.where(), row, name.size(), kMaxNameBytes);
      const auto [entry, is_new] = counts_.try_emplace(printable(name), 0);
      ++entry->second;
      if (!is_new) return;
      bytes_ += entry->first.size();
      if (static_cast<int64_t>(counts_.size()) > kMaxClasses || bytes_ > kMaxNamesBytes)
        fail(ExitCode::data, "{} holds more than {} different texts, so they are no names of classes.",
             values.where(), counts_.size() - 1);
    });
  }
}

ClassNames NameCounts::names() const {
  ClassNames names;
  for (const auto& [name, count] : counts_) names.push_back(name);
  return names;
}

std::vector<int64_t> NameCounts::counts() const {
  std::vector<int64_t> counts;
  for (const auto& [name, count] : counts_) counts.push_back(count);
  return counts;
}

void NameCounts::require_classes(const std::string& where) const {
  constexpr size_t kFew = 20;
  const auto different = static_cast<int64_t>(counts_.size());
  if (counts_.size() <= kFew || 2 * different <= elements_) return;
  fail(ExitCode::data,
       "{} holds {} different texts in {} places, so they are no names of classes: {}. If they are, set "
       "data.classes = {}.",
       where, different, elements_, names_in_words(names()), different);
}

NameTable::NameTable(const ClassNames& names) {
  for (size_t i = 0; i < names.size(); ++i) numbers_[names[i]] = static_cast<int32_t>(i);
}

std::optional<int32_t> NameTable::find(std::string_view name) const {
  auto known = numbers_.find(name);
  if (known == numbers_.end()) known = numbers_.find(printable(name));
  return known == numbers_.end() ? std::nullopt : std::optional(known->second);
}

std::string names_in_words(const ClassNames& names) {
  constexpr size_t kShown = 20;
  const auto shown = static_cast<std::ptrdiff_t>(std::min(kShown, names.size()));
  return fmt::format("{}{}", fmt::join(names.begin(), names.begin() + shown, ", "),
                     names.size() > kShown ? fmt::format(" and {} more", names.size() - kShown) : "");
}

}  // namespace lockstep
