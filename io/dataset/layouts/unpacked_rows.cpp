#include "io/dataset/layouts/unpacked_rows.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "io/dataset/layouts/plain_rows.h"

namespace lockstep {

namespace {

constexpr hssize_t kMaxMissing = 64;

/// The numbers of an attribute; none if there is no such attribute.
std::optional<std::vector<double>> numbers_of(const hdf5::Dataset& dataset, const char* name) {
  if (H5Aexists(dataset.id(), name) <= 0) return std::nullopt;
  const hdf5::Id attribute(H5Aopen(dataset.id(), name, H5P_DEFAULT));
  const hdf5::Id type(attribute ? H5Aget_type(attribute.get()) : H5I_INVALID_HID);
  const hdf5::Id space(attribute ? H5Aget_space(attribute.get()) : H5I_INVALID_HID);
  const hssize_t count = space ? H5Sget_simple_extent_npoints(space.get()) : 0;
  const H5T_class_t type_class = type ? H5Tget_class(type.get()) : H5T_NO_CLASS;
  std::vector<double> numbers;
  if (count >= 1 && count <= kMaxMissing && (type_class == H5T_INTEGER || type_class == H5T_FLOAT)) {
    numbers.resize(static_cast<size_t>(count));
    if (H5Aread(attribute.get(), H5T_NATIVE_DOUBLE, numbers.data()) >= 0) return numbers;
  }
  fail(ExitCode::data, "{}: its attribute {} is not a number. Repair or remove it.", dataset.where(), name);
}

/// Whether the attribute _Unsigned is "true", as text of either length.
bool says_unsigned(const hdf5::Dataset& dataset) {
  if (H5Aexists(dataset.id(), "_Unsigned") <= 0) return false;
  const hdf5::Id attribute(H5Aopen(dataset.id(), "_Unsigned", H5P_DEFAULT));
  const hdf5::Id type(attribute ? H5Aget_type(attribute.get()) : H5I_INVALID_HID);
  const hdf5::Id space(attribute ? H5Aget_space(attribute.get()) : H5I_INVALID_HID);
  if (!type || H5Tget_class(type.get()) != H5T_STRING || H5Sget_simple_extent_npoints(space.get()) != 1)
    return false;
  std::string text;
  if (H5Tis_variable_str(type.get()) > 0) {
    char* value = nullptr;
    if (H5Aread(attribute.get(), type.get(), &value) >= 0 && value != nullptr) text = value;
    H5free_memory(value);
  } else {
    text.resize(H5Tget_size(type.get()));
    H5Aread(attribute.get(), type.get(), text.data());
  }
  return text.starts_with("true") || text.starts_with("True");
}

/// 2^bits of a signed integer type, which its negative values lack as unsigned ones.
double range_of(const hdf5::ElementType& type) { return std::ldexp(1.0, static_cast<int>(8 * type.bytes)); }

}  // namespace

std::optional<Packing> packing_of(const hdf5::Dataset& dataset) {
  const hdf5::Lock lock;
  Packing packing;
  bool is_packed = false;
  const auto number = [&](const char* name, double& value) {
    const std::optional<std::vector<double>> found = numbers_of(dataset, name);
    if (!found) return;
    value = found->front();
    is_packed = true;
    if (found->size() != 1 || !std::isfinite(value))
      fail(ExitCode::data, "{}: its attribute {} is not one finite number. Repair or remove it.",
           dataset.where(), name);
  };
  number("scale_factor", packing.scale);
  number("add_offset", packing.offset);
  for (const char* name : {"_FillValue", "missing_value"}) {
    const std::optional<std::vector<double>> found = numbers_of(dataset, name);
    if (!found) continue;
    is_packed = true;
    packing.missing.insert(packing.missing.end(), found->begin(), found->end());
  }
  const hdf5::ElementType& type = dataset.type();
  packing.is_unsigned =
      type.kind == hdf5::ElementType::Kind::integer && type.is_signed && says_unsigned(dataset);
  if (packing.is_unsigned) {
    is_packed = true;
    for (double& value : packing.missing)
      if (value < 0) value += range_of(type);
  }
  H5Eclear2(H5E_DEFAULT);
  return is_packed ? std::optional(std::move(packing)) : std::nullopt;
}

UnpackedRows::UnpackedRows(hdf5::File opened, const std::string& name, Packing packing,
                           std::optional<double> missing)
    : StoredRows(std::move(opened), name),
      dataset_(file().dataset(name, 0)),
      packing_(std::move(packing)),
      missing_(missing.value_or(std::numeric_limits<double>::quiet_NaN())) {
  watch(dataset_);
  require_rows_of_numbers(dataset_);
  facts_ = facts_of_rows(dataset_);
  facts_.axes.clear();
  const hdf5::ElementType& stored = dataset_.type();
  const bool is_wide = (stored.kind == hdf5::ElementType::Kind::floating && stored.bytes > sizeof(float));
  const DType type = is_wide ? DType::f64 : DType::f32;
  std::string text =
      fmt::format("{} holds {} that stand for other numbers (CF conventions)", where(), stored.name);
  if (packing_.scale != 1 || packing_.offset != 0)
    text += fmt::format(": value = stored x {:g} + {:g}", packing_.scale, packing_.offset);
  if (packing_.is_unsigned) text += ", unsigned";
  if (!packing_.missing.empty())
    text += fmt::format("; {:g} means a missing value{}", fmt::join(packing_.missing, ", "),
                        missing ? fmt::format(", read as {:g}", *missing) : "");
  if (!packing_.changes_values() && packing_.missing.empty())
    text = fmt::format("NaN in {} is read as {:g}", where(), missing_);
  facts_.has_missing = !packing_.missing.empty();
  facts_.notes.push_back(std::move(text));
  facts_.read_bytes = static_cast<size_t>(facts_.shape.elements()) * sizeof(double);
  facts_.type = {.kind = hdf5::ElementType::Kind::floating,
                 .bytes = size_of(type),
                 .is_signed = true,
                 .big_endian = false,
                 .name = to_string(type),
                 .exact = type};
}

void UnpackedRows::read_runs(std::span<const hdf5::RowRun> runs, DType dtype, std::byte* out) const {
  const hdf5::Convert convert = hdf5::conversion({hdf5::Number::f64, false}, dtype);
  INVARIANT(convert != nullptr, "unpacked numbers as {}", to_string(dtype));
  size_t rows = 0;
  for (const hdf5::RowRun& run : runs) rows += static_cast<size_t>(run.count);
  std::vector<double> values(rows * static_cast<size_t>(facts_.shape.elements()));
  dataset_.read_runs(runs, DType::f64, values.data());
  const double range = range_of(dataset_.type());
  const std::vector<double>& missing = packing_.missing;
  for (double& value : values) {
    if (packing_.is_unsigned && value < 0) value += range;
    const bool is_missing =
        std::ranges::find(missing, value) != missing.end() || (std::isnan(value) && !std::isnan(missing_));
    value = is_missing ? missing_ : value * packing_.scale + packing_.offset;
  }
  convert(reinterpret_cast<const std::byte*>(values.data()), values.size(), out);
}

}  // namespace lockstep
