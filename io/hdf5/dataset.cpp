#include <algorithm>
#include <array>

#include "io/hdf5/chunks/chunk_bytes.h"
#include "io/hdf5/chunks/chunk_reader.h"
#include "io/hdf5/crash_report.h"
#include "io/hdf5/element_type.h"
#include "io/hdf5/elements/heap_reader.h"
#include "io/hdf5/hdf5.h"
#include "src/core/activity.h"

namespace lockstep::hdf5 {

namespace {

/// The names that people know registered filters by; a file may carry another text or none.
std::string filter_name(H5Z_filter_t id, const char* stored) {
  static constexpr std::array<std::pair<int, const char*>, 18> kNames = {{
      {1, "deflate"},
      {2, "shuffle"},
      {3, "fletcher32"},
      {4, "szip"},
      {5, "nbit"},
      {6, "scale-offset"},
      {305, "lzo"},
      {307, "bzip2"},
      {32000, "lzf"},
      {32001, "blosc"},
      {32004, "lz4"},
      {32008, "bitshuffle"},
      {32013, "zfp"},
      {32015, "zstd"},
      {32018, "fcidecomp"},
      {32024, "sz3"},
      {32026, "blosc2"},
      {32028, "sperr"},
  }};
  for (const auto& [known, name] : kNames)
    if (known == id) return name;
  return stored[0] != '\0' ? stored : "unknown";
}

/// Whether there are strings of variable length in a type, which H5Tdetect_class() counts among the others.
bool has_variable_strings(hid_t type) {
  const H5T_class_t type_class = H5Tget_class(type);
  if (type_class == H5T_STRING) return H5Tis_variable_str(type) > 0;
  if (type_class == H5T_ARRAY) return has_variable_strings(Id(H5Tget_super(type)).get());
  if (type_class != H5T_COMPOUND) return false;
  const int members = H5Tget_nmembers(type);
  for (int member = 0; member < members; ++member)
    if (has_variable_strings(Id(H5Tget_member_type(type, static_cast<unsigned>(member))).get())) return true;
  return false;
}

/// Bytes in the file of a reference to a value of variable length: a number of items, an address and an
/// index. libhdf5 gives the size in memory.
size_t reference_bytes(hid_t dataset) {
  const Id file(H5Iget_file_id(dataset));
  const Id properties(H5Fget_create_plist(file.get()));
  size_t address = sizeof(haddr_t), length = 0;
  if (properties) H5Pget_sizes(properties.get(), &address, &length);
  return 4 + address + 4;
}

}  // namespace

Dataset::Dataset(const std::string& file, const std::string& name, Id id)
    : file_(file), name_(name), id_(std::move(id)) {
  const Lock lock;
  const Id space(H5Dget_space(id_.get()));
  type_id_ = Id(H5Dget_type(id_.get()));
  const Id properties(H5Dget_create_plist(id_.get()));
  if (!space || !type_id_ || !properties) fail(ExitCode::data, "{} is damaged: {}.", where(), last_error());
  has_data_ = H5Sget_simple_extent_type(space.get()) != H5S_NULL;
  const int rank = H5Sget_simple_extent_ndims(space.get());
  if (rank < 0) fail(ExitCode::data, "{} is damaged: {}.", where(), last_error());
  std::vector<hsize_t> extents(static_cast<size_t>(rank));
  H5Sget_simple_extent_dims(space.get(), extents.data(), nullptr);
  double claimed = 1;
  for (const hsize_t extent : extents) {
    extents_.push_back(static_cast<int64_t>(extent));
    claimed *= static_cast<double>(extent);
    if (claimed > 0x1p59 || extent > uint64_t{1} << 59)
      fail(ExitCode::data, "{} claims more elements than any file can hold: its header is damaged.", where());
  }
  type_ = element_type(type_id_.get());
  if (has_variable_length(type_id_.get())) type_.bytes = reference_bytes(id_.get());
  switch (H5Pget_layout(properties.get())) {
    case H5D_COMPACT:
      layout_ = "compact";
      break;
    case H5D_CONTIGUOUS:
      layout_ = H5Pget_external_count(properties.get()) > 0 ? "external" : "contiguous";
      break;
    case H5D_CHUNKED:
      layout_ = "chunked";
      break;
    case H5D_VIRTUAL:
      layout_ = "virtual";
      break;
    default:
      layout_ = "unknown";
      break;
  }
  if (layout_ == "chunked") {
    std::array<hsize_t, H5S_MAX_RANK> chunk{};
    const int chunk_rank = H5Pget_chunk(properties.get(), H5S_MAX_RANK, chunk.data());
    if (chunk_rank != rank)
      fail(ExitCode::data, "{} is damaged: its chunks have {} axes.", where(), chunk_rank);
    for (int axis = 0; axis < rank; ++axis)
      chunk_.push_back(static_cast<int64_t>(chunk[static_cast<size_t>(axis)]));
  }
  const int filters = H5Pget_nfilters(properties.get());
  bool is_decoded_here = filters > 0 && !chunk_.empty();
  std::vector<filters::Step> steps;
  for (int index = 0; index < filters; ++index) {
    unsigned flags = 0, config = 0;
    std::array<unsigned, 32> settings{};
    size_t values = settings.size();
    std::array<char, 64> stored{};
    Filter filter;
    filter.id = H5Pget_filter2(properties.get(), static_cast<unsigned>(index), &flags, &values,
                               settings.data(), stored.size() - 1, stored.data(), &config);
    filter.name = filter_name(filter.id, stored.data());
    const auto count = static_cast<std::ptrdiff_t>(std::min(values, settings.size()));
    steps.push_back({filter.id, {settings.begin(), settings.begin() + count}});
    const bool here = filters::is_decoded_here(steps.back());
    is_decoded_here = is_decoded_here && here;
    filter.decoded_here = here;
    filter.available = here || H5Zfilter_avail(filter.id) > 0;
    filters_.push_back(filter);
  }
  if (is_decoded_here) pipeline_.emplace(std::move(steps), chunk_bytes(*this));
  holds_values_ = H5Tdetect_class(type_id_.get(), H5T_VLEN) <= 0 &&
                  H5Tdetect_class(type_id_.get(), H5T_REFERENCE) <= 0 &&
                  !has_variable_strings(type_id_.get());
  if (type_.kind != ElementType::Kind::other) number_ = number_type(type_id_.get());
  if (holds_values_ || has_variable_length(type_id_.get())) chunk_map_ = ChunkMap::of(*this);
  H5Eclear2(H5E_DEFAULT);
}

int64_t Dataset::elements() const {
  int64_t product = has_data_ ? 1 : 0;
  for (const int64_t extent : extents_) product *= extent;
  return product;
}

int64_t Dataset::stored_bytes() const {
  const Lock lock;
  return static_cast<int64_t>(H5Dget_storage_size(id_.get()));
}

int64_t Dataset::chunks() const {
  if (chunk_.empty()) return 0;
  const Lock lock;
  if (chunks_) return *chunks_;
  hsize_t count = 0;
  const Id space(H5Dget_space(id_.get()));
  if (H5Dget_num_chunks(id_.get(), space.get(), &count) < 0)
    fail(ExitCode::data, "{}: the index of its chunks is damaged: {}.", where(), last_error());
  chunks_ = static_cast<int64_t>(count);
  return *chunks_;
}

int64_t Dataset::offset() const {
  const Lock lock;
  const haddr_t offset = H5Dget_offset(id_.get());
  H5Eclear2(H5E_DEFAULT);
  return offset == HADDR_UNDEF ? -1 : static_cast<int64_t>(offset);
}

std::string Dataset::why_by_libhdf5() const {
  if (!is_read_by_libhdf5()) return "";
  if (layout_ == "virtual" || layout_ == "compact") return layout_;
  if (layout_ == "external") return "raw files";
  if (!is_written()) return "never written";
  for (const Filter& filter : filters_) {
    if (!filter.decoded_here) return "filter " + filter.name;
  }
  return "another driver";
}

bool Dataset::is_written() const {
  const bool has_own_place = layout_ == "chunked" || layout_ == "contiguous";
  return elements() == 0 || !has_own_place || stored_bytes() > 0;
}

bool Dataset::can_be_decoded() const {
  return std::ranges::all_of(filters_, [](const Filter& filter) { return filter.available; });
}

void Dataset::require_filters() const {
  for (const Filter& filter : filters_) {
    if (!filter.available)
      fail(ExitCode::data,
           "{} is compressed with the filter {} ({}), which libhdf5 does not have here. "
           "Python's package hdf5plugin has most filters: `pip install hdf5plugin`, then set "
           "HDF5_PLUGIN_PATH to what `python3 -c 'import hdf5plugin; "
           "print(hdf5plugin.PLUGIN_PATH)'` prints.",
           where(), filter.name, filter.id);
  }
}

bool Dataset::read_by_libhdf5(hid_t memory_space, hid_t file_space, size_t count, std::optional<DType> dtype,
                              void* out) const {
  const Lock lock;
  const InsideLibhdf5 inside(file_.c_str(), name_.c_str());
  const auto read_as = [&](hid_t type, void* to) {
    return H5Dread(id_.get(), type, memory_space, file_space, H5P_DEFAULT, to) >= 0;
  };
  if (!dtype) {
    const bool is_read = read_as(type_id_.get(), out);
    // Of records, only fields that hold their values are of use here.
    if (is_read && !holds_values_) H5Dvlen_reclaim(type_id_.get(), memory_space, H5P_DEFAULT, out);
    return is_read;
  }
  // It does not convert bit fields.
  if (H5Tget_class(type_id_.get()) != H5T_BITFIELD) return read_as(memory_type(*dtype), out);
  std::vector<std::byte> bits(count * type_.bytes);
  if (!read_as(type_id_.get(), bits.data())) return false;
  conversion(*number_, *dtype)(bits.data(), count, static_cast<std::byte*>(out));
  return true;
}

void Dataset::read(DType dtype, void* out) const {
  const FileActivity reading(file_, name_, 0, 0);
  require_filters();
  if (!is_read_by_libhdf5()) {
    const std::vector<hsize_t> start(extents_.size(), 0), size(extents_.begin(), extents_.end());
    return ChunkReader(*this).read(start, size, dtype, static_cast<std::byte*>(out));
  }
  if (!read_by_libhdf5(H5S_ALL, H5S_ALL, static_cast<size_t>(elements()), dtype, out))
    fail(ExitCode::data, "{} cannot be read: {}. The file is damaged.", where(), last_error());
}

void Dataset::read_box(const std::vector<hsize_t>& start, const std::vector<hsize_t>& size,
                       std::optional<DType> dtype, void* out) const {
  const FileActivity reading(file_, name_, static_cast<int64_t>(start[0]), static_cast<int64_t>(size[0]));
  require_filters();
  if (!is_read_by_libhdf5()) return ChunkReader(*this).read(start, size, dtype, static_cast<std::byte*>(out));
  const Lock lock;
  const Id stored(H5Dget_space(id_.get()));
  const Id memory(H5Screate_simple(static_cast<int>(size.size()), size.data(), nullptr));
  size_t count = 1;
  for (const hsize_t extent : size) count *= extent;
  if (H5Sselect_hyperslab(stored.get(), H5S_SELECT_SET, start.data(), nullptr, size.data(), nullptr) < 0 ||
      !read_by_libhdf5(memory.get(), stored.get(), count, dtype, out))
    fail(ExitCode::data, "{}: rows {} to {} cannot be read: {}. The file is damaged.", where(), start[0],
         start[0] + size[0] - 1, last_error());
}

void Dataset::read_rows(int64_t first, int64_t count, std::optional<DType> dtype, void* out) const {
  INVARIANT(!extents_.empty() && first >= 0 && first + count <= extents_[0], "rows [{}, {}) of {}", first,
            first + count, where());
  std::vector<hsize_t> start(extents_.size(), 0), size(extents_.begin(), extents_.end());
  start[0] = static_cast<hsize_t>(first);
  size[0] = static_cast<hsize_t>(count);
  read_box(start, size, dtype, out);
}

void Dataset::read_runs(std::span<const RowRun> runs, std::optional<DType> dtype, void* out) const {
  if (runs.empty()) return;
  if (!is_read_by_libhdf5()) {
    const int64_t last = runs.back().first + runs.back().count;
    const FileActivity reading(file_, name_, runs[0].first, last - runs[0].first);
    return ChunkReader(*this).read_runs(runs, dtype, static_cast<std::byte*>(out));
  }
  const size_t row_bytes =
      static_cast<size_t>(elements() / extents_[0]) * (dtype ? size_of(*dtype) : type_.bytes);
  auto* at = static_cast<std::byte*>(out);
  for (const RowRun& run : runs) {
    read_rows(run.first, run.count, dtype, at);
    at += static_cast<size_t>(run.count) * row_bytes;
  }
}

void Dataset::read_ends() const {
  INVARIANT(!extents_.empty() && elements() > 0, "{} has no ends", where());
  std::vector<std::byte> value(type_.bytes);
  const std::vector<hsize_t> one(extents_.size(), 1), first(extents_.size(), 0);
  std::vector<hsize_t> last(extents_.begin(), extents_.end());
  for (hsize_t& position : last) --position;
  read_box(first, one, std::nullopt, value.data());
  read_box(last, one, std::nullopt, value.data());
}

}  // namespace lockstep::hdf5
