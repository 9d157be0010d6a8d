#include "io/dataset/layouts/named_rows.h"

#include <optional>
#include <utility>

#include "io/dataset/layouts/plain_rows.h"
#include "io/hdf5/convert.h"

namespace lockstep {

namespace {

NamedValues require_named_values(const hdf5::File& file, const std::string& name) {
  std::optional<NamedValues> values = find_named_values(file, name);
  if (!values)
    fail(ExitCode::data, "{}:{} holds no names of classes, as the other files or the training data do.",
         file.path(), printable(name));
  return *std::move(values);
}

}  // namespace

NamedRows::NamedRows(hdf5::File opened, const std::string& name, const ClassNames& names)
    : StoredRows(std::move(opened), name),
      values_(require_named_values(file(), name)),
      table_(names),
      known_(names_in_words(names)) {
  watch(values_.values);
  require_rows(values_.values);
  facts_ = facts_of_rows(values_.values);
  facts_.axes.clear();
  const hdf5::ElementType stored = values_.values.type();
  facts_.read_bytes = static_cast<size_t>(facts_.shape.elements()) * stored.bytes;
  facts_.type = {.kind = hdf5::ElementType::Kind::integer,
                 .bytes = sizeof(int32_t),
                 .is_signed = true,
                 .big_endian = false,
                 .name = values_.kind == NamedValues::Kind::text ? "string" : stored.name,
                 .exact = DType::i32};
}

void NamedRows::read_runs(std::span<const hdf5::RowRun> runs, DType dtype, std::byte* out) const {
  const hdf5::Convert convert = hdf5::conversion({hdf5::Number::i32, false}, dtype);
  std::vector<int32_t> classes;
  for (const hdf5::RowRun& run : runs) {
    classes.clear();
    const int64_t in_row = facts_.shape.elements();
    read_class_names(values_, run.first, run.count, [&](int64_t element, std::string_view name) {
      const std::optional<int32_t> number = table_.find(name);
      if (!number)
        fail(
            ExitCode::data,
            "{}: sample {} has the class '{}', which is unknown. The classes are: {}. Repair the name, or leave "
            "out such samples.",
            where(), run.first + element / in_row, printable(name), known_);
      classes.push_back(*number);
    });
    convert(reinterpret_cast<const std::byte*>(classes.data()), classes.size(), out);
    out += classes.size() * size_of(dtype);
  }
}

}  // namespace lockstep
