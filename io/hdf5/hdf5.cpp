#include "io/hdf5/hdf5.h"

#include <fcntl.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "io/dataset/meant_path.h"
#include "io/file/staged_copies.h"
#include "io/hdf5/chunks/read_driver.h"
#include "io/hdf5/needed_version.h"
#include "io/hdf5/registered_filters.h"
#include "io/hdf5/sources/family.h"
#include "io/hdf5/sources/links.h"
#include "io/hdf5/sources/raw_files.h"
#include "src/core/text/suggest.h"

namespace lockstep::hdf5 {

namespace {

std::recursive_mutex& library_mutex() {
  static std::recursive_mutex mutex;
  return mutex;
}

/// libhdf5 has no property for the sources of virtual data sets and the targets of external links: it locks
/// those unless this variable says otherwise, and reads a locked source as fill values. Set when the program
/// is loaded, because no other thread may read the environment meanwhile. A value set by the user is kept.
[[maybe_unused]] const int kNoLocks = setenv("HDF5_USE_FILE_LOCKING", "FALSE", /*overwrite=*/0);

/// Properties for opening a file: no locks, because they fail on NFS and read-only mounts.
Id access_properties() {
  Id properties(H5Pcreate(H5P_FILE_ACCESS));
#if H5_VERSION_GE(1, 10, 7)
  H5Pset_file_locking(properties.get(), false, true);
#endif
  return properties;
}

/// Properties for opening a file that this process only reads. Leaves the driver to $HDF5_DRIVER, if that is
/// set.
Id reading_access() {
  Id properties = access_properties();
  if (H5Pget_driver(properties.get()) == H5FD_SEC2) H5Pset_driver(properties.get(), read_driver(), nullptr);
  return properties;
}

/// Properties for creating a file. The format of 1.8 does not limit attributes to 64 KiB, which a config or a
/// model description may exceed.
Id creation_access() {
  Id properties = access_properties();
  H5Pset_libver_bounds(properties.get(), H5F_LIBVER_V18, H5F_LIBVER_LATEST);
  return properties;
}

/// Throws Error(data) unless `path` is a readable, non-empty file.
void require_readable_file(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) {
      std::string advice = advice_on_part(path);
      if (advice.empty()) advice = advice_on_missing(path);
      fail(ExitCode::data, "{} does not exist. {}", path,
           advice.empty() ? "Check the path; a config's paths are relative to the config file." : advice);
    }
    fail(ExitCode::data, "{} cannot be read: {}.", path, std::strerror(errno));
  }
  if (S_ISDIR(status.st_mode))
    fail(ExitCode::data, "{} is a folder, not an HDF5 file. Name a file in it.", path);
  if (!S_ISREG(status.st_mode))
    fail(ExitCode::data, "{} is not a regular file. Copy it to a file first.", path);
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0)
    fail(ExitCode::data, "{} cannot be read: {}. Check its owner and permissions.", path,
         std::strerror(errno));
  ::close(descriptor);
  if (status.st_size == 0)
    fail(ExitCode::data, "{} is empty (0 bytes), so it is not HDF5. Was its copy or download cut short?",
         path);
}

bool contains_text(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

/// Throws Error(data) for a family that libhdf5 could not open.
[[noreturn]] void fail_to_open_family(const std::string& path, const std::string& pattern,
                                      const std::string& reason) {
  const Family family = find_family(pattern);
  const auto count = static_cast<int64_t>(family.members.size());
  if (contains_text(reason, "truncated"))
    fail(
        ExitCode::data,
        "{} is truncated ({}): it is a family of files that ends with {}, and {} does not exist. Copy what is "
        "missing, or the last file again.",
        path, reason, family.members.back(), member_of(pattern, count));
  fail(ExitCode::data, "{}, a family of {} files, cannot be opened as HDF5: {}.", path, count, reason);
}

/// A thread's use of the library's error stack, of which a thread-safe library has one for each thread. It is
/// printed by default; here it becomes the text of an Error.
class ErrorStack {
 public:
  ErrorStack() { H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr); }
  ErrorStack(const ErrorStack&) = delete;
  ErrorStack& operator=(const ErrorStack&) = delete;
  /// Messages left behind by a thread would keep the library from closing at exit. Does not wait for the
  /// lock: a process may end while another thread holds it.
  ~ErrorStack() {
    const std::unique_lock lock(library_mutex(), std::try_to_lock);
    if (lock) H5Eclear2(H5E_DEFAULT);
  }
};

}  // namespace

Lock::Lock() : lock_(library_mutex()) {
  static const bool open = [] {
    const bool done = H5open() >= 0;
    register_filters();
    return done;
  }();
  thread_local const ErrorStack stack;
  static_cast<void>(open);
  static_cast<void>(stack);
}

Id::~Id() {
  if (id_ < 0) return;
  const Lock lock;
  // Every call of the library clears its error stack, but an earlier failure is still to be reported.
  const hid_t errors = H5Eget_num(H5E_DEFAULT) > 0 ? H5Eget_current_stack() : H5I_INVALID_HID;
  H5Idec_ref(id_);
  if (errors >= 0) H5Eset_current_stack(errors);
}

std::string last_error() {
  const Lock lock;
  std::string message;
  H5Ewalk2(
      H5E_DEFAULT, H5E_WALK_UPWARD,
      [](unsigned position, const H5E_error2_t* error, void* out) -> herr_t {
        if (position == 0 && error->desc != nullptr) *static_cast<std::string*>(out) = error->desc;
        return 0;
      },
      &message);
  H5Eclear2(H5E_DEFAULT);
  // A system error is wrapped in many fields: "file write failed: time = ..., error message = 'No space left
  // on device', ...".
  constexpr const char* kMark = "error message = '";
  if (const auto at = message.find(kMark); at != std::string::npos) {
    const auto begin = at + std::strlen(kMark);
    message = message.substr(begin, message.find('\'', begin) - begin);
  }
  return message.empty() ? "libhdf5 gives no reason" : message;
}

File File::open(const std::string& path) { return open(path, H5F_ACC_RDONLY); }

File File::open_for_writing(const std::string& path) { return open(path, H5F_ACC_RDWR); }

File File::open(const std::string& path, unsigned flags) {
  const Lock lock;
  const std::string place = flags == H5F_ACC_RDONLY ? staged_place(path) : path;
  const bool is_pattern = is_family_pattern(place);
  const std::string first = is_pattern ? find_family(place).members[0] : place;
  require_readable_file(first);
  const htri_t is_hdf5 = H5Fis_hdf5(first.c_str());
  if (is_hdf5 == 0) {
    const std::string advice = advice_on_part(first);
    fail(ExitCode::data, "{} is not an HDF5 file (it does not begin like one). {}", first,
         advice.empty() ? "Convert it, or see `lockstep data import`." : advice);
  }
  const Id properties = flags == H5F_ACC_RDONLY ? reading_access() : access_properties();
  Id id(is_hdf5 < 0 ? H5I_INVALID_HID : H5Fopen(place.c_str(), flags, properties.get()));
  if (!id) {
    std::string reason = last_error();
    // The first member of a family ends before the file does.
    if (const std::string pattern = is_pattern ? place : family_begun_by(place); !pattern.empty()) {
      if (!is_pattern) {
        find_family(pattern);
        id = Id(H5Fopen(pattern.c_str(), flags, properties.get()));
        if (!id) reason = last_error();
      }
      if (!id) fail_to_open_family(path, pattern, reason);
      return {path, std::move(id)};
    }
    if (const std::string advice = advice_on_part(place); !advice.empty())
      fail(ExitCode::data, "{} cannot be opened alone. {}", path, advice);
    if (contains_text(reason, "truncated"))
      fail(ExitCode::data, "{} is truncated ({}). Copy or download it again.", path, reason);
    // The message of EAGAIN: flock() found the file locked.
    if (contains_text(reason, "temporarily unavailable"))
      fail(ExitCode::data,
           "{} is locked by another process, which has it open for writing. Wait for that process, or set "
           "HDF5_USE_FILE_LOCKING=FALSE to read it all the same.",
           path);
    if (contains_text(reason, "No locks available"))
      fail(ExitCode::data,
           "{} lies on a file system that grants no locks. Set HDF5_USE_FILE_LOCKING=FALSE to read it "
           "without.",
           path);
    if (contains_text(reason, "already open"))
      fail(ExitCode::data,
           "{} is marked as open for writing: its writer still runs, or died. Wait for it, or run `h5clear "
           "-s {}`.",
           path, path);
    fail(ExitCode::data,
         "{} cannot be opened as HDF5: {}. The file is damaged, or newer than libhdf5 {}.{}.{}.", path,
         reason, H5_VERS_MAJOR, H5_VERS_MINOR, H5_VERS_RELEASE);
  }
  return {path, std::move(id)};
}

File File::create(const std::string& path) {
  const Lock lock;
  // Without the time of its creation, the same content is the same bytes.
  const Id properties(H5Pcreate(H5P_FILE_CREATE));
  H5Pset_obj_track_times(properties.get(), false);
  Id id(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, properties.get(), creation_access().get()));
  if (!id)
    fail(ExitCode::data,
         "cannot create {}: {}. Check that the folder exists, its permissions and the free space.", path,
         last_error());
  return {path, std::move(id)};
}

File File::create_in_memory(const std::string& path) {
  const Lock lock;
  constexpr size_t kIncrement = size_t{1} << 20;
  const Id properties = creation_access();
  H5Pset_fapl_core(properties.get(), kIncrement, /*backing_store=*/false);
  Id id(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, properties.get()));
  if (!id) fail(ExitCode::memory, "cannot build {} in memory: {}.", path, last_error());
  return {path, std::move(id)};
}

void File::fail_to(const std::string& action) const {
  fail(ExitCode::data, "{}: cannot {}: {}.", path_, action, last_error());
}

bool File::contains(const std::string& name) const {
  const Lock lock;
  // H5Lexists checks one link at a time: every group in the path must exist.
  if (name.empty() || name == "/") return true;
  for (size_t end = name.find('/', 1);; end = name.find('/', end + 1)) {
    const std::string part = name.substr(0, end);
    if (part.back() != '/' && H5Lexists(id_.get(), part.c_str(), H5P_DEFAULT) <= 0) return false;
    if (end == std::string::npos) break;
  }
  // A soft or external link may be broken.
  return H5Oexists_by_name(id_.get(), name.c_str(), H5P_DEFAULT) > 0;
}

bool File::contains_dataset(const std::string& name) const {
  const Lock lock;
  if (!contains(name)) return false;
  const Id object(H5Oopen(id_.get(), name.c_str(), H5P_DEFAULT));
  const bool is_dataset = object && H5Iget_type(object.get()) == H5I_DATASET;
  H5Eclear2(H5E_DEFAULT);
  return is_dataset;
}

std::vector<std::string> File::dataset_names(size_t limit) const {
  std::vector<std::string> names;
  for (Named& named : list_names(*this, limit)) {
    if (named.problem.empty()) names.push_back(std::move(named.name));
  }
  return names;
}

Dataset File::dataset(const std::string& name, int64_t chunk_cache_bytes) const {
  const Lock lock;
  if (!contains(name)) {
    std::string broken = broken_link(*this, name);
    if (!broken.empty()) broken.insert(0, ": ");
    // The list helps users far more than the name alone; another, damaged data set must not hide the first
    // problem.
    std::vector<std::string> found;
    constexpr size_t kShown = 20;
    std::vector<std::string> names = dataset_names(kShown + 1);
    const bool more = names.size() > kShown;
    if (more) names.pop_back();
    for (const std::string& other : names) {
      try {
        found.push_back(fmt::format("{} ({})", printable(other), fmt::join(dataset(other).extents(), ", ")));
      } catch (const Error&) {
        found.push_back(printable(other) + " (cannot be opened)");
      }
    }
    if (found.empty())
      fail(ExitCode::data, "{} has no data set {}{}. It has none at all.", path_, name, broken);
    fail(ExitCode::data, "{} has no data set {}{}. It has: {}{}.", path_, name, broken,
         fmt::join(found, ", "), more ? " and more" : "");
  }
  const Id properties(H5Pcreate(H5P_DATASET_ACCESS));
  if (chunk_cache_bytes >= 0)
    H5Pset_chunk_cache(properties.get(), H5D_CHUNK_CACHE_NSLOTS_DEFAULT,
                       static_cast<size_t>(chunk_cache_bytes), H5D_CHUNK_CACHE_W0_DEFAULT);
  Id id(H5Dopen2(id_.get(), name.c_str(), properties.get()));
  // libhdf5 looks for raw files in the current folder unless told to look beside the file. A data set that is
  // already open, as a source of another, must be opened with the same setting.
  std::string reason = id ? "" : last_error();
  if (const std::string prefix = id ? raw_prefix(id.get()) : "${ORIGIN}";
      contains_text(reason, "external file prefix") || (id && !prefix.empty())) {
    id = Id();
    H5Pset_efile_prefix(properties.get(), prefix.c_str());
    id = Id(H5Dopen2(id_.get(), name.c_str(), properties.get()));
    if (!id) reason = last_error();
  }
  if (!id) {
    const Id object(H5Oopen(id_.get(), name.c_str(), H5P_DEFAULT));
    if (object && H5Iget_type(object.get()) != H5I_DATASET)
      fail(ExitCode::data, "{}: {} is a group or a type, not a data set. Name a data set in it.", path_,
           name);
    if (const std::string need = needs_later_version(*this, name); !need.empty())
      fail(ExitCode::data, "{}: {} {}", path_, name, need);
    // How the parts of a virtual data set are selected has a version of its own, beyond the object's header.
    if (contains_text(reason, "bad version number"))
      fail(
          ExitCode::data,
          "{}: cannot open data set {}: {}. A later version of HDF5 than {}.{}.{}, with which this program was "
          "built, may have written it, or it is damaged. In h5py, h5py.File(NAME, \"w\", libver=(\"earliest\", "
          "\"v110\")) writes files that this version reads.",
          path_, name, reason, H5_VERS_MAJOR, H5_VERS_MINOR, H5_VERS_RELEASE);
    fail(ExitCode::data, "{}: cannot open data set {}: {}.", path_, name, reason);
  }
  return {path_, name, std::move(id)};
}

void File::create_group(const std::string& name) {
  const Lock lock;
  if (contains(name)) return;
  const Id links(H5Pcreate(H5P_LINK_CREATE));
  H5Pset_create_intermediate_group(links.get(), 1);
  const Id properties(H5Pcreate(H5P_GROUP_CREATE));
  H5Pset_obj_track_times(properties.get(), false);
  const Id group(H5Gcreate2(id_.get(), name.c_str(), links.get(), properties.get(), H5P_DEFAULT));
  if (!group) fail_to("create group " + name);
}

void File::flush() {
  const Lock lock;
  if (H5Fflush(id_.get(), H5F_SCOPE_GLOBAL) < 0) fail_to("write");
}

std::span<const std::byte> File::image() {
  const Lock lock;
  flush();
  // The driver's memory is rounded up; the image ends where the file does.
  const ssize_t size = H5Fget_file_image(id_.get(), nullptr, 0);
  void* memory = nullptr;
  if (size < 0 || H5Fget_vfd_handle(id_.get(), H5P_DEFAULT, &memory) < 0) fail_to("give its image");
  return {*static_cast<std::byte**>(memory), static_cast<size_t>(size)};
}

void File::close() {
  const Lock lock;
  flush();
  if (H5Fclose(id_.release()) < 0) fail_to("write");
}

}  // namespace lockstep::hdf5
