#include "io/dataset/layouts/record_fields.h"

#include <algorithm>
#include <utility>

#include "io/hdf5/element_type.h"
#include "src/core/error.h"
#include "src/core/text/suggest.h"

namespace lockstep {

namespace {

constexpr int kMaxFieldDepth = 32;

void add_field(hid_t type, const std::string& name, size_t offset, int depth,
               std::vector<RecordField>& fields) {
  const H5T_class_t type_class = H5Tget_class(type);
  if (type_class == H5T_COMPOUND && depth < kMaxFieldDepth) {
    const int members = H5Tget_nmembers(type);
    for (int index = 0; index < members; ++index) {
      const auto member = static_cast<unsigned>(index);
      char* const text = H5Tget_member_name(type, member);
      const std::string own = text == nullptr ? "" : text;
      H5free_memory(text);
      add_field(hdf5::Id(H5Tget_member_type(type, member)).get(), name.empty() ? own : name + "." + own,
                offset + H5Tget_member_offset(type, member), depth + 1, fields);
    }
    return;
  }
#if H5_VERSION_GE(2, 0, 0)
  if (type_class == H5T_COMPLEX) {
    const hdf5::Id part(H5Tget_super(type));
    const std::string before = name.empty() ? "" : name + ".";
    add_field(part.get(), before + "r", offset, depth + 1, fields);
    return add_field(part.get(), before + "i", offset + H5Tget_size(part.get()), depth + 1, fields);
  }
#endif
  RecordField field{.name = name, .offset = offset, .type = {}, .number = {}, .extents = {}};
  hdf5::Id element(H5Tcopy(type));
  if (type_class == H5T_ARRAY) {
    std::vector<hsize_t> extents(static_cast<size_t>(std::max(0, H5Tget_array_ndims(type))));
    H5Tget_array_dims2(type, extents.data());
    field.extents.assign(extents.begin(), extents.end());
    element = hdf5::Id(H5Tget_super(type));
  }
  field.type = hdf5::element_type(element.get());
  if (field.type.kind != hdf5::ElementType::Kind::other) field.number = hdf5::number_type(element.get());
  fields.push_back(std::move(field));
}

hdf5::Id find_field_type(hid_t type, const std::string& name, int depth) {
  const int members =
      H5Tget_class(type) == H5T_COMPOUND && depth < kMaxFieldDepth ? H5Tget_nmembers(type) : 0;
  for (int index = 0; index < members; ++index) {
    const auto member = static_cast<unsigned>(index);
    char* const text = H5Tget_member_name(type, member);
    const std::string own = text == nullptr ? "" : text;
    H5free_memory(text);
    if (own != name && !name.starts_with(own + ".")) continue;
    hdf5::Id found(H5Tget_member_type(type, member));
    if (own != name) found = find_field_type(found.get(), name.substr(own.size() + 1), depth + 1);
    if (found) return found;
  }
  return {};
}

std::string trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(' ');
  return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(' ') - first + 1);
}

std::string in_words(const RecordField& field) {
  std::string extents;
  for (const int64_t extent : field.extents) extents += fmt::format("[{}]", extent);
  return fmt::format("{} ({}{})", printable(field.name), field.type.name, extents);
}

hdf5::ElementType integer_type(size_t bytes, bool is_signed) {
  hdf5::ElementType type{.kind = hdf5::ElementType::Kind::integer,
                         .bytes = bytes,
                         .is_signed = is_signed,
                         .big_endian = false,
                         .name = fmt::format("{}int{}", is_signed ? "" : "u", 8 * bytes),
                         .exact = {}};
  if (!is_signed && bytes == 1) type.exact = DType::u8;
  if (is_signed && bytes == 4) type.exact = DType::i32;
  if (is_signed && bytes == 8) type.exact = DType::i64;
  return type;
}

hdf5::ElementType float_type(DType dtype) {
  return {.kind = hdf5::ElementType::Kind::floating,
          .bytes = size_of(dtype),
          .is_signed = true,
          .big_endian = false,
          .name = to_string(dtype),
          .exact = dtype};
}

}  // namespace

int64_t RecordField::count() const {
  constexpr int64_t kMaxCount = int64_t{1} << 40;  // more than an element has room for
  int64_t count = 1;
  for (const int64_t extent : extents) {
    if (extent <= 0 || count > kMaxCount / extent) return 0;
    count *= extent;
  }
  return count;
}

std::vector<RecordField> fields_of(const hdf5::Dataset& dataset) {
  const hdf5::Lock lock;
  std::vector<RecordField> fields;
  const hid_t type = dataset.type_id();
  bool has_fields = H5Tget_class(type) == H5T_COMPOUND;
#if H5_VERSION_GE(2, 0, 0)
  has_fields = has_fields || H5Tget_class(type) == H5T_COMPLEX;
#endif
  if (has_fields) add_field(type, "", 0, 0, fields);
  return fields;
}

hdf5::Id type_of_field(const hdf5::Dataset& dataset, const std::string& name) {
  const hdf5::Lock lock;
  return find_field_type(dataset.type_id(), name, 0);
}

std::string fields_in_words(const std::vector<RecordField>& fields) {
  constexpr size_t kShown = 20;
  std::string text;
  for (size_t i = 0; i < std::min(kShown, fields.size()); ++i)
    text += (i == 0 ? "" : ", ") + in_words(fields[i]);
  if (fields.size() > kShown) text += fmt::format(" and {} more", fields.size() - kShown);
  return text;
}

std::string naming_fields(const hdf5::Dataset& dataset, const std::vector<RecordField>& fields) {
  std::vector<std::string> numbers, texts;
  for (const RecordField& field : fields) {
    if (field.number) numbers.push_back(printable(field.name));
    if (field.type.name == "string") texts.push_back(printable(field.name));
  }
  if (numbers.empty()) return "";
  const std::string before = printable(dataset.name()) + ".";
  std::string text = fmt::format("x = \"{}{}\"", before, numbers[0]);
  if (numbers.size() > 1)
    text += fmt::format(", or several side by side as x = \"{}{},{}\"", before, numbers[0], numbers[1]);
  if (!texts.empty()) text += fmt::format("; names of classes as y = \"{}{}\"", before, texts[0]);
  return text;
}

std::vector<RecordField> fields_named(const hdf5::Dataset& dataset, const std::string& names) {
  const std::vector<RecordField> all = fields_of(dataset);
  std::vector<RecordField> found;
  const auto add = [&](const std::string& name) {
    const size_t before = found.size();
    for (const RecordField& field : all)
      if (field.name == name || field.name.starts_with(name + ".")) found.push_back(field);
    return found.size() > before;
  };
  // A name may contain commas.
  if (!add(names)) {
    for (size_t begin = 0; begin <= names.size();) {
      const size_t end = std::min(names.find(',', begin), names.size());
      const std::string name = trimmed(names.substr(begin, end - begin));
      if (!add(name)) {
        std::vector<std::string> known;
        for (const RecordField& field : all) known.push_back(field.name);
        const std::string nearest = nearest_name(name, known);
        fail(ExitCode::data, "{} has no field '{}'{}. It has: {}.", dataset.where(), printable(name),
             nearest.empty() ? "" : fmt::format(" (did you mean '{}'?)", printable(nearest)),
             fields_in_words(all));
      }
      begin = end + 1;
    }
  }
  return found;
}

void require_numbers(const hdf5::Dataset& dataset, const std::vector<RecordField>& fields) {
  for (const RecordField& field : fields) {
    if (!field.number)
      fail(ExitCode::data,
           "the field '{}' of {} holds values of type {}; samples and targets must be integers or "
           "floating-point numbers. Name other fields.",
           printable(field.name), dataset.where(), field.type.name);
    const auto bytes = static_cast<double>(field.count()) * static_cast<double>(field.type.bytes);
    if (field.count() <= 0 ||
        static_cast<double>(field.offset) + bytes > static_cast<double>(dataset.type().bytes))
      fail(ExitCode::data, "{} is damaged: its field '{}' has no place in its elements.", dataset.where(),
           printable(field.name));
  }
}

hdf5::ElementType common_type(const std::vector<RecordField>& fields) {
  using Kind = hdf5::ElementType::Kind;
  const auto is_float = [](const RecordField& field) { return field.type.kind == Kind::floating; };
  if (std::ranges::none_of(fields, is_float)) {
    size_t bytes = 1, unsigned_bytes = 0;
    bool is_signed = false;
    for (const RecordField& field : fields) {
      is_signed = is_signed || field.type.is_signed;
      bytes = std::max(bytes, field.type.bytes);
      if (!field.type.is_signed) unsigned_bytes = std::max(unsigned_bytes, field.type.bytes);
    }
    if (is_signed && unsigned_bytes == bytes) bytes = std::min<size_t>(8, 2 * bytes);
    return integer_type(bytes, is_signed);
  }
  size_t bytes = 0;
  bool same = true;
  for (const RecordField& field : fields) {
    same = same && field.number->number == fields[0].number->number;
    // Of what the float has to hold: integers of 8, 16 and more bits.
    const size_t needed = is_float(field) ? field.type.bytes : std::min<size_t>(8, 2 * field.type.bytes);
    bytes = std::max(bytes, needed);
  }
  if (same && fields[0].type.exact) return float_type(*fields[0].type.exact);
  return float_type(bytes > 4 ? DType::f64 : DType::f32);
}

bool is_complex(const hdf5::ElementType& type) { return type.name.starts_with("complex"); }

RecordName record_name(const hdf5::File& file, const std::string& name) {
  if (file.contains(name)) return {name, ""};
  for (size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1)) {
    const std::string data_set = name.substr(0, dot);
    if (data_set.empty() || data_set.back() == '/' || !file.contains(data_set)) continue;
    const hdf5::Id object(H5Oopen(file.id(), data_set.c_str(), H5P_DEFAULT));
    if (!object || H5Iget_type(object.get()) != H5I_DATASET) continue;
    const hdf5::Id type(H5Dget_type(object.get()));
    const H5T_class_t type_class = H5Tget_class(type.get());
    if (type_class == H5T_COMPOUND) return {data_set, name.substr(dot + 1)};
  }
  return {name, ""};
}

}  // namespace lockstep
