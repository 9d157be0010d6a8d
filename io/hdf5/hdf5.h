#pragma once

#include <hdf5.h>

#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "io/hdf5/chunks/chunk_map.h"
#include "io/hdf5/convert.h"
#include "io/hdf5/filters/pipeline.h"
#include "src/core/text/printable.h"
#include "src/tensor/tensor.h"

/// A thin, owning wrapper of the C library: silent error stack, one lock, and every failure is an Error(data)
/// that names the file, the object and the library's innermost message.
namespace lockstep::hdf5 {

/// Holds this process's lock for libhdf5, which is not thread-safe. Recursive: every function below takes it;
/// hold one to make several calls atomic.
class Lock {
 public:
  Lock();

 private:
  std::unique_lock<std::recursive_mutex> lock_;
};

/// Owns an HDF5 identifier of any kind (file, group, data set, type, space, property list); move-only; silent
/// on destruction.
class Id {
 public:
  Id() = default;
  explicit Id(hid_t id) : id_(id) {}
  Id(Id&& other) noexcept : id_(std::exchange(other.id_, H5I_INVALID_HID)) {}
  Id& operator=(Id&& other) noexcept {
    std::swap(id_, other.id_);
    return *this;
  }
  ~Id();
  hid_t get() const { return id_; }
  explicit operator bool() const { return id_ >= 0; }
  /// Releases the identifier, which the caller then has to close.
  hid_t release() { return std::exchange(id_, H5I_INVALID_HID); }

 private:
  hid_t id_ = H5I_INVALID_HID;
};

/// The innermost message of the library's error stack; for a system error, the system's own message.
std::string last_error();

/// The in-memory HDF5 type of a DType; owned by this module, must not be closed.
hid_t memory_type(DType dtype);

/// The type of the elements of a data set, as stored.
struct ElementType {
  enum class Kind { integer, floating, other };
  Kind kind = Kind::other;
  size_t bytes = 0;
  bool is_signed = false;
  bool big_endian = false;
  std::string name;  ///< "uint8", "int64 (big-endian)", "float16", "string", "compound", ...
  /// The DType with exactly these values, apart from byte order; none for int8, uint16, strings, ...
  std::optional<DType> exact;
};

/// A filter of a chunked data set, in the order in which they were applied on writing.
struct Filter {
  H5Z_filter_t id = 0;
  std::string name;  ///< "deflate", "blosc", ...
  bool decoded_here = false;
  bool available = false;  ///< decoded here or by libhdf5
};

/// Rows [first, first + count) of the first axis.
struct RowRun {
  int64_t first = 0, count = 0;
};

/// An open data set. Must not be used after its File is closed.
class Dataset {
 public:
  Dataset(const std::string& file, const std::string& name, Id id);

  const std::string& name() const { return name_; }
  const std::string& file() const { return file_; }
  /// "mnist.h5:/train/x", to begin an error with.
  std::string where() const { return file_ + ":" + printable(name_); }
  /// Extents, outermost first; empty for a scalar. has_data is false for a null data space.
  const std::vector<int64_t>& extents() const { return extents_; }
  bool has_data() const { return has_data_; }
  int64_t elements() const;
  const ElementType& type() const { return type_; }
  /// Extents of a chunk; empty when the data set is contiguous or compact.
  const std::vector<int64_t>& chunk() const { return chunk_; }
  const std::vector<Filter>& filters() const { return filters_; }
  /// "contiguous", "chunked", "compact", "virtual", "external".
  const std::string& layout() const { return layout_; }
  /// Size of the values in the file in bytes, after compression.
  int64_t stored_bytes() const;
  /// Number of chunks that exist; the first call walks the whole index. 0 unless chunked.
  int64_t chunks() const;
  /// Offset in the file at which the elements of a contiguous data set begin, in bytes; -1 if not yet
  /// allocated.
  int64_t offset() const;
  hid_t id() const { return id_.get(); }
  /// The type of the elements in the file.
  hid_t type_id() const { return type_id_.get(); }
  /// The decoder of chunks; null if there is nothing to decode, or if libhdf5 has to decode them.
  const filters::Pipeline* pipeline() const { return pipeline_ ? &*pipeline_ : nullptr; }
  /// What the elements in the file are, if they can be converted without libhdf5.
  const std::optional<NumberType>& number() const { return number_; }
  /// Where the stored bytes lie; null if only libhdf5 can read them.
  const ChunkMap* chunk_map() const { return chunk_map_.get(); }
  /// The same, to be kept (ChunkMap::keep()).
  const std::shared_ptr<ChunkMap>& shared_chunk_map() const { return chunk_map_; }
  /// Whether libhdf5 reads the values, under its lock. Otherwise ChunkReader does.
  bool is_read_by_libhdf5() const { return !pipeline_ && (chunk_map_ == nullptr || !filters_.empty()); }
  /// Why libhdf5 reads the values: "virtual", "filter szip", ...; "" if it does not.
  std::string why_by_libhdf5() const;
  /// Whether values are stored byte for byte as they are delivered as `dtype`; none: as they are stored.
  bool is_stored_as(std::optional<DType> dtype) const {
    return !dtype || (number_ && type_.exact == dtype && (!number_->big_endian || type_.bytes == 1));
  }
  /// Whether the elements themselves hold their values, rather than refer to them, as those of variable
  /// length and references do.
  bool holds_values() const { return holds_values_; }
  /// Whether any value was stored; otherwise all read as the fill value.
  bool is_written() const;
  /// Whether every filter is available on this machine.
  bool can_be_decoded() const;
  /// Whether libhdf5 decodes the chunks, with filters that may access memory out of bounds if the data is
  /// damaged.
  bool is_decoded_by_libhdf5() const { return !filters_.empty() && !pipeline_; }

  /// Reads all elements, converted to `dtype`, in row-major order into `out`.
  void read(DType dtype, void* out) const;
  /// Reads rows [first, first + count) of the first axis. Here and below, a dtype of none delivers the
  /// elements as they are stored, type().bytes each, whatever they are; they must hold their values.
  void read_rows(int64_t first, int64_t count, std::optional<DType> dtype, void* out) const;
  /// Reads rows one after another into `out`; runs are in order and do not overlap. Decodes a chunk shared by
  /// several runs once.
  void read_runs(std::span<const RowRun> runs, std::optional<DType> dtype, void* out) const;
  /// Reads the elements [start, start + size) along each axis.
  void read_box(const std::vector<hsize_t>& start, const std::vector<hsize_t>& size,
                std::optional<DType> dtype, void* out) const;
  /// Reads the first and the last element as they are stored, to check that their chunks can be decompressed.
  void read_ends() const;
  /// Throws Error(data) that names the filter and the remedy if a filter is not available on this machine.
  void require_filters() const;

 private:
  /// H5Dread() of `count` elements; false if it fails, see last_error().
  bool read_by_libhdf5(hid_t memory_space, hid_t file_space, size_t count, std::optional<DType> dtype,
                       void* out) const;

  std::string file_, name_;
  Id id_, type_id_;
  std::vector<int64_t> extents_, chunk_;
  bool has_data_ = true, holds_values_ = false;
  ElementType type_;
  std::vector<Filter> filters_;
  std::optional<NumberType> number_;
  std::optional<filters::Pipeline> pipeline_;
  std::shared_ptr<ChunkMap> chunk_map_;
  mutable std::optional<int64_t> chunks_;  ///< once counted; guarded by the Lock
  std::string layout_;
};

/// How a data set is stored when written.
struct Storage {
  std::vector<int64_t> chunk = {};  ///< empty: contiguous
  int deflate = 0;                  ///< 1..9; needs chunks
  bool allocate = false;            ///< contiguous: allocate space in the file at once, without writing to it
};

/// An HDF5 file. File locking is off: it fails on NFS and on read-only mounts.
class File {
 public:
  /// Opens for reading: a file, or a family by its pattern or its first member (sources/family.h). Throws
  /// Error(data) with a specific message for a path that is missing, not a regular file, unreadable, empty,
  /// not HDF5, truncated or damaged.
  static File open(const std::string& path);
  /// Creates or truncates a file for writing. Throws Error(data) with the system's reason.
  static File create(const std::string& path);
  /// A new file that exists only in memory; `path` is for messages. See image().
  static File create_in_memory(const std::string& path);
  /// Opens an existing file to add to it. Throws Error(data) as open() does.
  static File open_for_writing(const std::string& path);

  const std::string& path() const { return path_; }
  bool contains(const std::string& name) const;
  /// Whether it contains a data set, rather than a group, of this name.
  bool contains_dataset(const std::string& name) const;
  /// Every name ("/train/x") that leads to a data set, also through links, in name order; at most `limit`
  /// (hdf5/sources/links.h).
  std::vector<std::string> dataset_names(size_t limit = 1000) const;
  /// Opens a data set. If it does not exist, throws Error(data) that lists existing ones with their shapes.
  /// chunk_cache_bytes: the library's cache of decompressed chunks; negative: its default of 1 MiB.
  Dataset dataset(const std::string& name, int64_t chunk_cache_bytes = -1) const;
  std::vector<std::string> attribute_names(const std::string& object) const;

  /// Writes an array as a new data set, creating the groups above it.
  void write(const std::string& name, const ConstTensor& tensor, const Storage& storage = {});
  /// An empty data set of `shape` to be filled by write_rows.
  void create_dataset(const std::string& name, DType dtype, const Shape& shape, const Storage& storage = {});
  void write_rows(const std::string& name, int64_t first, const ConstTensor& rows);

  /// Attributes of an object (a group or data set; "/" is the file). Setting replaces.
  void set_attribute(const std::string& object, const std::string& name, int64_t value);
  void set_attribute(const std::string& object, const std::string& name, double value);
  void set_attribute(const std::string& object, const std::string& name, const std::string& value);
  /// As an array of strings.
  void set_attribute(const std::string& object, const std::string& name,
                     const std::vector<std::string>& values);
  /// None if the object has no such attribute; throws Error(data) if the attribute has another type.
  std::optional<int64_t> integer_attribute(const std::string& object, const std::string& name) const;
  std::optional<double> real_attribute(const std::string& object, const std::string& name) const;
  std::optional<std::string> string_attribute(const std::string& object, const std::string& name) const;

  /// Creates a group and those above it; no error if it exists.
  void create_group(const std::string& name);
  /// Passes all data to the operating system.
  void flush();
  /// The bytes of an in-memory file as they would be on disk: no copy, valid until the next write to the
  /// file.
  std::span<const std::byte> image();
  /// Flushes and closes; unlike the destructor, throws Error(data) on failure (a full disk).
  void close();
  hid_t id() const { return id_.get(); }

 private:
  static File open(const std::string& path, unsigned flags);
  File(std::string path, Id id) : path_(std::move(path)), id_(std::move(id)) {}
  [[noreturn]] void fail_to(const std::string& action) const;

  std::string path_;
  Id id_;
};

}  // namespace lockstep::hdf5
