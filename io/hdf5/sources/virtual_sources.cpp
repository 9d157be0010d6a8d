#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "io/hdf5/mapping.h"
#include "io/hdf5/sources/search.h"
#include "io/hdf5/sources/source_walk.h"

namespace lockstep::hdf5 {

namespace {

/// The maximum gap in a numbered series of sources after which the next source is still detected.
constexpr int64_t kLookAhead = 100;
constexpr int64_t kMaxNumber = 1'000'000;

/// "rows 10 to 19".
std::string row_text(hid_t virtual_space) {
  const auto rows = rows_of(virtual_space);
  if (!rows) return "rows";
  return rows->first == rows->second ? fmt::format("row {}", rows->first)
                                     : fmt::format("rows {} to {}", rows->first, rows->second);
}

/// The beginning of an error: "v.h5:/x takes its rows 10 to 19 from /x of f-1.h5".
std::string takes_from(const Dataset& dataset, const Mapping& mapping, const std::string& file,
                       const std::string& name) {
  return fmt::format("{} takes its {} from {} of {}", dataset.where(), row_text(mapping.virtual_space.get()),
                     name, file == "." ? "the same file" : file);
}

/// The elements of one source that a mapping selects in the virtual data set.
int64_t elements_of_block(const Mapping& mapping) {
  const hid_t space = mapping.virtual_space.get();
  if (mapping.has_end()) return H5Sget_select_npoints(space);
  std::array<hsize_t, H5S_MAX_RANK> start{}, stride{}, count{}, block{};
  H5Sget_regular_hyperslab(space, start.data(), stride.data(), count.data(), block.data());
  int64_t elements = 1;
  for (size_t axis = 0; axis < extents_of(space).size(); ++axis)
    elements *= static_cast<int64_t>(block[axis] * (count[axis] == H5S_UNLIMITED ? 1 : count[axis]));
  return elements;
}

/// Throws Error(data) unless a source of these extents contains the mapped elements. Beyond its end libhdf5
/// reads arbitrary bytes of the file, or fails.
void require_fits(const std::string& takes, const Mapping& mapping, const std::vector<int64_t>& extents) {
  const hid_t space = mapping.source_space.get();
  const int64_t elements = elements_of_block(mapping);
  if (elements == 0) return;
  std::vector<hsize_t> low(extents.size()), high(extents.size());
  bool fits = true;
  if (H5Sget_select_type(space) == H5S_SEL_ALL) {
    int64_t held = 1;
    for (const int64_t extent : extents) held *= extent;
    fits = held == elements;
  } else if (extents_of(space).size() != extents.size() ||
             H5Sget_select_bounds(space, low.data(), high.data()) < 0) {
    fits = false;
  } else {
    for (size_t axis = 0; axis < extents.size(); ++axis)
      fits = fits && high[axis] < static_cast<hsize_t>(extents[axis]);
  }
  if (!fits)
    fail(ExitCode::data,
         "{}, but the shape of that data set is ({}), which does not hold them: it was cut short or made "
         "anew. "
         "Restore the source, or make the virtual data set anew.",
         takes, fmt::join(extents, ", "));
}

/// Throws Error(data) if a virtual data set that grows with its sources has shrunk.
void require_not_shrunk(const Dataset& dataset, const Mapping& mapping, const std::string& why) {
  const auto axis = static_cast<size_t>(mapping.virtual_axis);
  const std::vector<hsize_t> written = extents_of(mapping.virtual_space.get());
  if (axis >= written.size() || axis >= dataset.extents().size()) return;
  const int64_t now = dataset.extents()[axis];
  if (static_cast<int64_t>(written[axis]) > now)
    fail(ExitCode::data,
         "{} was written with {} {} and now has {}: {}. Restore the source, or make the virtual data set "
         "anew.",
         dataset.where(), written[axis], axis == 0 ? "rows" : fmt::format("entries along axis {}", axis), now,
         why);
}

/// For a mapping that grows with its source: the rows of the virtual data set, which is as long as the
/// longest of its sources, beyond the end of this source. "" if there are none, or if the two do not grow
/// entry by entry.
std::string rows_beyond(const Dataset& dataset, const Mapping& mapping, const std::vector<int64_t>& extents) {
  std::array<hsize_t, H5S_MAX_RANK> start{}, stride{}, count{}, block{}, source_start{}, source_stride{};
  const auto axis = static_cast<size_t>(mapping.virtual_axis),
             source_axis = static_cast<size_t>(mapping.source_axis);
  if (mapping.source_axis < 0 || source_axis >= extents.size() || axis >= dataset.extents().size()) return "";
  H5Sget_regular_hyperslab(mapping.virtual_space.get(), start.data(), stride.data(), count.data(),
                           block.data());
  const bool is_dense = block[axis] == H5S_UNLIMITED || stride[axis] == block[axis];
  H5Sget_regular_hyperslab(mapping.source_space.get(), source_start.data(), source_stride.data(),
                           count.data(), block.data());
  const bool is_source_dense =
      block[source_axis] == H5S_UNLIMITED || source_stride[source_axis] == block[source_axis];
  if (!is_dense || !is_source_dense) return "";
  const int64_t end = static_cast<int64_t>(start[axis]) + extents[source_axis] -
                      static_cast<int64_t>(source_start[source_axis]);
  const int64_t whole = dataset.extents()[axis];
  if (end >= whole) return "";
  return fmt::format("which is shorter than its other sources: {} {} to {} read as the fill value there.",
                     axis == 0 ? "rows" : fmt::format("along axis {}, entries", axis), end, whole - 1);
}

}  // namespace

const SourceWalk::Extents& SourceWalk::visit_source(const std::string& takes, const std::string& own,
                                                    const std::string& file, const std::string& name) {
  const std::pair key(file, name);
  std::map<std::pair<std::string, std::string>, Extents>& known = sources_[own];
  if (const auto found = known.find(key); found != known.end()) return found->second;
  try {
    // "." is the file of the virtual data set itself.
    const File source =
        file == "." ? File::open(own) : open_referenced(Reference::virtual_source, file, own, "");
    const Dataset dataset = source.dataset(name, 0);
    dataset.require_filters();
    visit(dataset);
    return known[key] = dataset.extents();
  } catch (const Error& e) {
    fail(ExitCode::data, "{}, but {}", takes, e.what());
  }
}

void SourceWalk::visit_virtual(const Dataset& dataset, const std::string& own) {
  const std::vector<Mapping> mappings = mappings_of(dataset);
  bool all_have_ends = true;
  for (const Mapping& mapping : mappings) {
    all_have_ends = all_have_ends && mapping.has_end();
    if (!mapping.has_end() && (is_numbered(mapping.file) || is_numbered(mapping.name))) {
      visit_numbered(dataset, own, mapping);
      continue;
    }
    const std::string file = numbered(mapping.file, 0), name = numbered(mapping.name, 0);
    const std::string takes = takes_from(dataset, mapping, file, name);
    const Extents& extents = visit_source(takes, own, file, name);
    if (mapping.has_end()) {
      require_fits(takes, mapping, extents);
      continue;
    }
    require_not_shrunk(dataset, mapping, fmt::format("{} of {} has become shorter", name, file));
    if (std::string sentence = rows_beyond(dataset, mapping, extents); !sentence.empty())
      found_.warnings.push_back(fmt::format("{}, {}", takes, sentence));
  }
  if (!all_have_ends) return;
  if (std::string sentence = unmapped_rows(dataset, mappings); !sentence.empty())
    found_.warnings.push_back(std::move(sentence));
}

void SourceWalk::visit_numbered(const Dataset& dataset, const std::string& own, const Mapping& mapping) {
  const auto place_of = [&](int64_t number) {
    return fmt::format("{} of {}", numbered(mapping.name, number),
                       places_of(Reference::virtual_source, numbered(mapping.file, number), own).front());
  };
  const auto exists = [&](int64_t number) {
    const std::string file = numbered(mapping.file, number);
    if (is_numbered(mapping.file)) {
      const auto places = places_of(Reference::virtual_source, file, own);
      return std::any_of(places.begin(), places.end(), [](const std::string& place) {
        std::error_code error;
        return std::filesystem::exists(place, error) || error;
      });
    }
    const File source = file == "."
                            ? File::open(own)
                            : open_referenced(Reference::virtual_source, file, own,
                                              takes_from(dataset, mapping, file, mapping.name) + ", but ");
    return source.contains(numbered(mapping.name, number));
  };
  int64_t count = 0;
  for (; count < kMaxNumber && exists(count); ++count) {
    const std::string file = numbered(mapping.file, count), name = numbered(mapping.name, count);
    const std::string takes = takes_from(dataset, mapping, file, name);
    const Extents& extents = visit_source(takes, own, file, name);
    if (mapping.source_axis < 0) require_fits(takes, mapping, extents);
  }
  for (int64_t later = count + 1; later <= count + kLookAhead; ++later) {
    if (exists(later))
      fail(ExitCode::data,
           "{} joins a numbered series of sources and ends before {}, which does not exist although {} does. "
           "Restore the missing source.",
           dataset.where(), place_of(count), place_of(later));
  }
  require_not_shrunk(dataset, mapping, fmt::format("{} does not exist", place_of(count)));
  const auto axis = static_cast<size_t>(mapping.virtual_axis);
  if (static_cast<int64_t>(extents_of(mapping.virtual_space.get())[axis]) < dataset.extents()[axis])
    found_.warnings.push_back(
        fmt::format("{} joins {} sources of a numbered series and ends before {}, which does not exist: "
                    "whether sources are "
                    "missing at the end cannot be seen.",
                    dataset.where(), count, place_of(count)));
}

}  // namespace lockstep::hdf5
