#include "io/dataset/layouts/separate_rows.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "io/dataset/layouts/plain_rows.h"
#include "io/dataset/source_files.h"
#include "io/file/kept_file.h"
#include "io/hdf5/chunks/read_driver.h"
#include "io/hdf5/convert.h"
#include "src/core/activity.h"
#include "src/core/text/wildcard.h"

namespace lockstep {

namespace {

constexpr size_t kMaxMatches = size_t{1} << 24;

std::vector<std::string> names_in_group(const hdf5::File& file, const std::string& group) {
  std::vector<std::string> names;
  hsize_t next = 0;
  const hdf5::Id id(H5Gopen2(file.id(), group.empty() ? "/" : group.c_str(), H5P_DEFAULT));
  const herr_t status = !id ? -1
                            : H5Literate(
                                  id.get(), H5_INDEX_NAME, H5_ITER_NATIVE, &next,
                                  [](hid_t, const char* name, const H5L_info_t*, void* out) -> herr_t {
                                    auto& found = *static_cast<std::vector<std::string>*>(out);
                                    if (found.size() > kMaxMatches) return 1;
                                    found.emplace_back(name);
                                    return 0;
                                  },
                                  &names);
  if (status < 0)
    fail(ExitCode::data, "{}: cannot list the group {}: {}. The file is damaged.", file.path(),
         printable(group), hdf5::last_error());
  return names;
}

bool is_group(const hdf5::File& file, const std::string& name) {
  const hdf5::Id object(H5Oopen(file.id(), name.c_str(), H5P_DEFAULT));
  const bool is = object && H5Iget_type(object.get()) == H5I_GROUP;
  H5Eclear2(H5E_DEFAULT);
  return is;
}

/// Adds the objects below `group` that match the rest of the pattern.
void find_matches(const hdf5::File& file, const std::string& group, const std::string& key,
                  std::string_view rest, std::vector<MatchingName>& found) {
  while (rest.starts_with('/')) rest.remove_prefix(1);
  const size_t slash = rest.find('/');
  const std::string part(rest.substr(0, slash));
  const std::string_view behind = slash == std::string_view::npos ? "" : rest.substr(slash);
  if (part.find('*') == std::string::npos) {
    const std::string name = group + "/" + part;
    if (H5Lexists(file.id(), name.c_str(), H5P_DEFAULT) <= 0) {
      H5Eclear2(H5E_DEFAULT);
    } else if (behind.empty()) {
      found.push_back({name, key});
    } else if (is_group(file, name)) {
      find_matches(file, name, key, behind, found);
    }
    return;
  }
  for (const std::string& name : names_in_group(file, group)) {
    if (!matches(part, name)) continue;
    const std::string path = group + "/" + name, longer = key.empty() ? name : key + "/" + name;
    if (behind.empty())
      found.push_back({path, longer});
    else if (is_group(file, path))
      find_matches(file, path, longer, behind, found);
    if (found.size() > kMaxMatches)
      fail(ExitCode::data, "{}: more than {} names match. Store the samples in one data set.", file.path(),
           kMaxMatches);
  }
}

std::string first_name(const hdf5::File& file, const std::string& pattern, std::vector<std::string>& names,
                       std::vector<std::string>& keys) {
  for (MatchingName& match : matching_names(file, pattern)) {
    names.push_back(std::move(match.name));
    keys.push_back(std::move(match.key));
  }
  if (names.empty())
    fail(ExitCode::data, "{}: no data set matches {}. `lockstep data info {}` lists those that there are.",
         file.path(), printable(pattern), file.path());
  return names[0];
}

/// Like require_rows_of_numbers(), for a sample, which may be a single number.
void require_numbers(const hdf5::Dataset& dataset) {
  const bool is_number = dataset.has_data() && dataset.extents().empty() && dataset.type().bytes <= 8 &&
                         dataset.type().kind != hdf5::ElementType::Kind::other;
  if (!is_number) require_rows_of_numbers(dataset);
}

bool is_stored_in_one_piece(const hdf5::Dataset& dataset) {
  return dataset.layout() == "contiguous" && dataset.number() && dataset.offset() > 0 &&
         dataset.stored_bytes() == dataset.elements() * static_cast<int64_t>(dataset.type().bytes);
}

}  // namespace

std::vector<MatchingName> matching_names(const hdf5::File& file, const std::string& pattern) {
  const hdf5::Lock lock;
  std::vector<MatchingName> found;
  find_matches(file, "", "", pattern, found);
  std::ranges::sort(found, [](const MatchingName& a, const MatchingName& b) {
    return is_naturally_before(a.name, b.name);
  });
  return found;
}

bool SeparateRows::is_pattern(const hdf5::File& file, const std::string& name) {
  return name.find('*') != std::string::npos && !file.contains(name);
}

SeparateRows::SeparateRows(hdf5::File opened, const std::string& pattern)
    : StoredRows(std::move(opened), pattern),
      first_(file().dataset(first_name(file(), pattern, names_, keys_), 0)) {
  const hdf5::Lock lock;
  watch(first_);
  require_numbers(first_);
  descriptor_ = is_stored_in_one_piece(first_) ? hdf5::descriptor_of(first_.id()) : -1;
  kept_ = kept_file(descriptor_);
  stored_bytes_ = static_cast<size_t>(first_.elements()) * first_.type().bytes;
  facts_.rows = static_cast<int64_t>(names_.size());
  facts_.shape = Shape(first_.extents());
  facts_.type = first_.type();
  facts_.read_bytes = stored_bytes_;
  places_.resize(names_.size());
  to_examine_.push_back(names_[0]);
  for (size_t row = 0; row < names_.size(); ++row) look_at(row);
  facts_.by_libhdf5 = std::ranges::any_of(places_, [](const Place& place) { return place.address == 0; });
  facts_.notes.push_back(fmt::format("{} data sets match {}: one sample each, from {} to {}", names_.size(),
                                     printable(pattern), printable(names_.front()),
                                     printable(names_.back())));
}

void SeparateRows::look_at(size_t row) {
  const std::string& name = names_[row];
  // Most are like the first one. Thousands are opened, so little is looked at.
  if (descriptor_ >= 0) {
    const hdf5::Id id(H5Dopen2(file().id(), name.c_str(), H5P_DEFAULT));
    const hdf5::Id space(id ? H5Dget_space(id.get()) : H5I_INVALID_HID);
    const hdf5::Id type(id ? H5Dget_type(id.get()) : H5I_INVALID_HID);
    std::vector<hsize_t> extents(first_.extents().size());
    const bool is_alike = space && type && H5Tequal(type.get(), first_.type_id()) > 0 &&
                          H5Sget_simple_extent_ndims(space.get()) == static_cast<int>(extents.size()) &&
                          H5Sget_simple_extent_dims(space.get(), extents.data(), nullptr) >= 0 &&
                          std::ranges::equal(extents, first_.extents(), {},
                                             [](hsize_t extent) { return static_cast<int64_t>(extent); });
    const haddr_t address = is_alike ? H5Dget_offset(id.get()) : HADDR_UNDEF;
    const bool is_whole =
        address != HADDR_UNDEF && address > 0 && H5Dget_storage_size(id.get()) == stored_bytes_;
    if (is_whole && hdf5::descriptor_of(id.get()) == descriptor_) {
      places_[row].address = address;
      return;
    }
    H5Eclear2(H5E_DEFAULT);
  }
  const hdf5::Dataset dataset = file().dataset(name, 0);
  watch(dataset);
  require_numbers(dataset);
  if (dataset.extents() != first_.extents())
    fail(ExitCode::data, "{} has the shape {}, but {} has {}. All samples must have the same shape.",
         dataset.where(), to_string(Shape(dataset.extents())), printable(first_.name()),
         to_string(Shape(first_.extents())));
  if (dataset.type().name != first_.type().name)
    fail(ExitCode::data, "{} holds {}, but {} holds {}. All samples must be of the same type.",
         dataset.where(), dataset.type().name, printable(first_.name()), first_.type().name);
  if (row > 0) to_examine_.push_back(name);
}

void SeparateRows::read_row(size_t row, DType dtype, std::byte* out) const {
  const std::string& name = names_[row];
  const uint64_t address = places_[row].address;
  if (address == 0) {
    const hdf5::Lock lock;
    return file().dataset(name, 0).read(dtype, out);
  }
  const FileActivity reading(path(), name, 0, 1);
  const auto elements = static_cast<size_t>(facts_.shape.elements());
  const hdf5::Convert convert = hdf5::conversion(*first_.number(), dtype);
  if (convert == nullptr) {
    const hdf5::Lock lock;
    return file().dataset(name, 0).read(dtype, out);
  }
  const bool in_place = first_.is_stored_as(dtype);
  const auto stored = in_place ? nullptr : std::make_unique_for_overwrite<std::byte[]>(stored_bytes_);
  std::byte* to = in_place ? out : stored.get();
  const std::string problem =
      read_through(kept_.get(), descriptor_, static_cast<int64_t>(address), std::span(to, stored_bytes_));
  if (!problem.empty())
    fail(ExitCode::data, "{}:{} cannot be read: {}. The file is damaged.", path(), printable(name), problem);
  if (!in_place) convert(stored.get(), elements, out);
}

void SeparateRows::read_runs(std::span<const hdf5::RowRun> runs, DType dtype, std::byte* out) const {
  const size_t row_bytes = static_cast<size_t>(facts_.shape.elements()) * size_of(dtype);
  for (const hdf5::RowRun& run : runs)
    for (int64_t row = run.first; row < run.first + run.count; ++row, out += row_bytes)
      read_row(static_cast<size_t>(row), dtype, out);
}

}  // namespace lockstep
