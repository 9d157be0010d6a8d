#include "io/hdf5/mapping.h"

#include <algorithm>
#include <array>
#include <map>

namespace lockstep::hdf5 {

namespace {

constexpr hssize_t kMaxBlocks = 1'000'000;

template <typename Get>
std::string text_of(Get get) {
  const ssize_t length = get(nullptr, size_t{0});
  if (length <= 0) return "";
  std::string text(static_cast<size_t>(length), '\0');
  get(text.data(), text.size() + 1);
  return text;
}

/// The axis along which a selection is unlimited, or -1.
int endless_axis(hid_t space) {
  std::array<hsize_t, H5S_MAX_RANK> start{}, stride{}, count{}, block{};
  if (H5Sget_select_type(space) != H5S_SEL_HYPERSLABS ||
      H5Sget_regular_hyperslab(space, start.data(), stride.data(), count.data(), block.data()) < 0)
    return -1;
  for (size_t axis = 0; axis < extents_of(space).size(); ++axis)
    if (count[axis] == H5S_UNLIMITED || block[axis] == H5S_UNLIMITED) return static_cast<int>(axis);
  return -1;
}

}  // namespace

std::vector<Mapping> mappings_of(const Dataset& dataset) {
  const Id properties(H5Dget_create_plist(dataset.id()));
  const hid_t list = properties.get();
  size_t count = 0;
  if (H5Pget_virtual_count(list, &count) < 0)
    fail(ExitCode::data, "{} is damaged: {}.", dataset.where(), last_error());
  std::vector<Mapping> mappings(count);
  for (size_t i = 0; i < count; ++i) {
    Mapping& mapping = mappings[i];
    mapping.file =
        text_of([&](char* out, size_t size) { return H5Pget_virtual_filename(list, i, out, size); });
    mapping.name =
        text_of([&](char* out, size_t size) { return H5Pget_virtual_dsetname(list, i, out, size); });
    mapping.virtual_space = Id(H5Pget_virtual_vspace(list, i));
    mapping.source_space = Id(H5Pget_virtual_srcspace(list, i));
    if (!mapping.virtual_space || !mapping.source_space)
      fail(ExitCode::data, "{} is damaged: {}.", dataset.where(), last_error());
    mapping.virtual_axis = endless_axis(mapping.virtual_space.get());
    mapping.source_axis = endless_axis(mapping.source_space.get());
  }
  return mappings;
}

std::string numbered(const std::string& pattern, int64_t number) {
  std::string text;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char next = pattern[i] == '%' && i + 1 < pattern.size() ? pattern[i + 1] : '\0';
    if (next == 'b') text += std::to_string(number);
    if (next == '%') text += '%';
    if (next == 'b' || next == '%')
      ++i;
    else
      text += pattern[i];
  }
  return text;
}

bool is_numbered(const std::string& pattern) { return numbered(pattern, 0) != numbered(pattern, 1); }

std::vector<hsize_t> extents_of(hid_t space) {
  std::vector<hsize_t> extents(static_cast<size_t>(std::max(0, H5Sget_simple_extent_ndims(space))));
  H5Sget_simple_extent_dims(space, extents.data(), nullptr);
  return extents;
}

std::optional<std::pair<int64_t, int64_t>> rows_of(hid_t space) {
  std::vector<hsize_t> low(extents_of(space).size()), high(low.size());
  if (low.empty() || H5Sget_select_npoints(space) <= 0 ||
      H5Sget_select_bounds(space, low.data(), high.data()) < 0)
    return std::nullopt;
  return std::pair(static_cast<int64_t>(low[0]), static_cast<int64_t>(high[0]));
}

std::string unmapped_rows(const Dataset& dataset, const std::vector<Mapping>& mappings) {
  const std::vector<int64_t>& extents = dataset.extents();
  const size_t rank = extents.size();
  if (rank == 0 || dataset.elements() == 0) return "";
  // How many elements more of a row are mapped than of the row before it, by row. Mappings do not overlap.
  std::map<int64_t, int64_t> more;
  hssize_t total = 0;
  for (const Mapping& mapping : mappings) {
    const hid_t space = mapping.virtual_space.get();
    if (H5Sget_select_type(space) != H5S_SEL_HYPERSLABS) return "";
    const hssize_t blocks = H5Sget_select_hyper_nblocks(space);
    if (blocks < 0 || (total += blocks) > kMaxBlocks) return "";
    std::vector<hsize_t> corners(static_cast<size_t>(blocks) * 2 * rank);
    if (H5Sget_select_hyper_blocklist(space, 0, static_cast<hsize_t>(blocks), corners.data()) < 0) return "";
    for (const hsize_t* low = corners.data(); low != corners.data() + corners.size(); low += 2 * rank) {
      const hsize_t* high = low + rank;
      int64_t elements = 1;
      for (size_t axis = 1; axis < rank; ++axis) elements *= static_cast<int64_t>(high[axis] - low[axis] + 1);
      more[static_cast<int64_t>(low[0])] += elements;
      more[static_cast<int64_t>(high[0]) + 1] -= elements;
    }
  }
  more[0] += 0;
  more[extents[0]] += 0;
  int64_t mapped = 0, rows = 0, first = -1, last = -1;
  for (auto at = more.begin(); at->first < extents[0]; ++at) {
    mapped += at->second;
    if (mapped >= dataset.elements() / extents[0]) continue;
    if (first < 0) first = at->first;
    last = std::min(extents[0], std::next(at)->first) - 1;
    rows += last - at->first + 1;
  }
  if (rows == 0) return "";
  return fmt::format(
      "{}: {} of its {} rows, between row {} and {}, lie wholly or partly where no source is mapped to, and "
      "read as "
      "the fill value.",
      dataset.where(), rows, extents[0], first, last);
}

}  // namespace lockstep::hdf5
