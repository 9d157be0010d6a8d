#include "io/hdf5/chunks/read_driver.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <type_traits>

#include "io/file/file_parts.h"
#include "io/hdf5/hdf5.h"
#include "io/hdf5/sources/family.h"
#if H5_VERSION_GE(1, 13, 0)
#include <H5FDdevelop.h>
#endif

namespace lockstep::hdf5 {

namespace {

Locating* locating = nullptr;  // guarded by the Lock

/// Puts a system error on libhdf5's stack, from which last_error() takes it.
void push_error(const char* call, const std::string& reason) {
  H5Epush2(H5E_DEFAULT, __FILE__, call, __LINE__, H5E_ERR_CLS, H5E_VFL, H5E_SYSERRSTR,
           "%s failed: error message = '%s'", call, reason.c_str());
}

void push_error(const char* call, int error) { push_error(call, std::string(std::strerror(error))); }

/// Null, with errno, if a member cannot be opened.
std::shared_ptr<const FileParts> open_family(const Family& family) {
  auto parts = std::make_shared<FileParts>();
  for (const std::string& member : family.members) {
    const uint64_t bytes = std::min(family.member_bytes, family.bytes - parts->bytes());
    if (!parts->append(member, 0, bytes)) return nullptr;
  }
  return parts;
}

}  // namespace

/// An open file. libhdf5 fills in `common` and passes a pointer to it, which is one to the whole.
class ReadDriver {
 public:
  /// What holds the bytes: one of the two.
  struct OpenedFile {
    int descriptor = -1;
    std::shared_ptr<const FileParts> family;
  };

  static const H5FD_class_t& functions() {
    static const H5FD_class_t functions = [] {
      H5FD_class_t result{};
#ifdef H5FD_CLASS_VERSION
      constexpr int kValue = 500;  // libhdf5 leaves 256 to 511 to programs
      result.version = H5FD_CLASS_VERSION;
      result.value = kValue;
#endif
      result.name = "family";  // libhdf5 lets no driver of another name open one
      result.maxaddr = kMaxAddress;
      result.fc_degree = H5F_CLOSE_WEAK;
      result.open = open;
      result.close = close;
      result.cmp = compare;
      result.query = query;
      result.get_eoa = [](const H5FD_t* file, H5FD_mem_t) { return of(file).end_; };
      result.set_eoa = [](H5FD_t* file, H5FD_mem_t, haddr_t end) -> herr_t {
        of(file).end_ = end;
        return 0;
      };
      result.get_eof = [](const H5FD_t* file, H5FD_mem_t) { return of(file).bytes_; };
      result.get_handle = [](H5FD_t* file, hid_t, void** handle) -> herr_t {
        *handle = &of(file).opened_;
        return 0;
      };
      result.read = read;
      result.write = [](H5FD_t*, H5FD_mem_t, hid_t, haddr_t, size_t, const void*) -> herr_t {
        push_error("write", EBADF);
        return -1;
      };
      result.lock = [](H5FD_t* file, hbool_t) { return lock(file, LOCK_SH | LOCK_NB); };
      result.unlock = [](H5FD_t* file) { return lock(file, LOCK_UN); };
      constexpr H5FD_mem_t kMap[] = H5FD_FLMAP_DICHOTOMY;
      std::ranges::copy(kMap, result.fl_map);
      return result;
    }();
    return functions;
  }

 private:
  static constexpr haddr_t kMaxAddress = std::numeric_limits<off_t>::max();

  static ReadDriver& of(H5FD_t* file) { return *reinterpret_cast<ReadDriver*>(file); }
  static const ReadDriver& of(const H5FD_t* file) { return *reinterpret_cast<const ReadDriver*>(file); }

  static H5FD_t* open(const char* name, unsigned flags, hid_t, haddr_t) {
    if ((flags & H5F_ACC_RDWR) != 0) {
      push_error("open for writing", EROFS);
      return nullptr;
    }
    auto file = std::make_unique<ReadDriver>();
    try {
      if (!(is_family_pattern(name) ? file->open_members(name) : file->open_one(name))) return nullptr;
    } catch (const std::exception& e) {  // not through libhdf5
      push_error("open", std::string(e.what()));
      return nullptr;
    }
    return &file.release()->common_;
  }

  bool open_one(const char* name) {
    opened_.descriptor = ::open(name, O_RDONLY | O_CLOEXEC);
    if (opened_.descriptor < 0) {
      push_error("open", errno);
      return false;
    }
    struct stat status {};
    if (fstat(opened_.descriptor, &status) != 0) {
      push_error("fstat", errno);
      ::close(opened_.descriptor);
      return false;
    }
    bytes_ = static_cast<haddr_t>(status.st_size);
    device_ = status.st_dev;
    inode_ = status.st_ino;
    return true;
  }

  bool open_members(const std::string& pattern) {
    const Family family = find_family(pattern);
    struct stat status {};
    opened_.family = open_family(family);
    if (!opened_.family || ::stat(family.members[0].c_str(), &status) != 0) {
      push_error("open", errno);
      return false;
    }
    bytes_ = family.bytes;
    device_ = status.st_dev;
    inode_ = status.st_ino;
    return true;
  }

  static herr_t close(H5FD_t* file) {
    const std::unique_ptr<ReadDriver> owned(&of(file));
    return owned->opened_.family ? 0 : ::close(owned->opened_.descriptor);
  }

  /// An order of files, and whether two are the same.
  static int compare(const H5FD_t* a, const H5FD_t* b) {
    const ReadDriver &first = of(a), &second = of(b);
    // The first member alone is another file than the whole.
    if (!first.opened_.family != !second.opened_.family) return first.opened_.family ? 1 : -1;
    if (first.device_ != second.device_) return first.device_ < second.device_ ? -1 : 1;
    return first.inode_ == second.inode_ ? 0 : first.inode_ < second.inode_ ? -1 : 1;
  }

  static herr_t query(const H5FD_t* file, unsigned long* flags) {
    if (flags == nullptr) return 0;
    *flags = H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE;
    if (file != nullptr && of(file).opened_.family) return 0;
    *flags |= H5FD_FEAT_POSIX_COMPAT_HANDLE | H5FD_FEAT_SUPPORTS_SWMR_IO;
#ifdef H5FD_FEAT_DEFAULT_VFD_COMPATIBLE
    *flags |= H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
#endif
    return 0;
  }

  static herr_t read(H5FD_t* file, H5FD_mem_t type, hid_t, haddr_t address, size_t bytes, void* to) {
    if (locating != nullptr && type == H5FD_MEM_DRAW) {
      ++locating->reads_;
      locating->address_ = address;
      locating->bytes_ = bytes;
      return 0;
    }
    if (address > kMaxAddress || bytes > kMaxAddress - address) {
      push_error("read", EOVERFLOW);
      return -1;
    }
    auto* at = static_cast<std::byte*>(to);
    if (const auto& family = of(file).opened_.family) return read_family(*family, address, {at, bytes});
    while (bytes > 0) {
      const ssize_t got = pread(of(file).opened_.descriptor, at, bytes, static_cast<off_t>(address));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) {
        push_error("read", errno);
        return -1;
      }
      if (got == 0) {  // libhdf5 expects zeros behind the end
        std::memset(at, 0, bytes);
        break;
      }
      at += got;
      address += static_cast<haddr_t>(got);
      bytes -= static_cast<size_t>(got);
    }
    return 0;
  }

  static herr_t read_family(const FileParts& family, haddr_t address, std::span<std::byte> out) {
    const uint64_t held = address < family.bytes() ? family.bytes() - address : 0;
    const std::span<std::byte> stored = out.first(std::min<uint64_t>(held, out.size()));
    if (const std::string problem = family.read(address, stored); !problem.empty()) {
      push_error("read", problem);
      return -1;
    }
    std::ranges::fill(out.subspan(stored.size()), std::byte{0});
    return 0;
  }

  /// Locks are off by default; HDF5_USE_FILE_LOCKING turns them on.
  static herr_t lock(H5FD_t* file, int operation) {
    if (of(file).opened_.family) return 0;  // nor does libhdf5's driver lock a family
    if (flock(of(file).opened_.descriptor, operation) == 0 || errno == ENOSYS) return 0;
    push_error("flock", errno);
    return -1;
  }

  H5FD_t common_{};
  OpenedFile opened_;
  haddr_t bytes_ = 0;  ///< when it was opened
  haddr_t end_ = 0;    ///< of what libhdf5 takes as allocated
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

hid_t read_driver() {
  static_assert(std::is_standard_layout_v<ReadDriver>, "its first member has the address of the whole");
  const Lock lock;
  static const hid_t driver = H5FDregister(&ReadDriver::functions());
  return driver;
}

namespace {

/// Null if read_driver() does not read the file that holds an object.
const ReadDriver::OpenedFile* opened_file(hid_t object) {
  const Lock lock;
  const Id file(H5Iget_file_id(object));
  const Id access(file ? H5Fget_access_plist(file.get()) : H5I_INVALID_HID);
  void* handle = nullptr;
  const bool is_found = access && H5Pget_driver(access.get()) == read_driver() &&
                        H5Fget_vfd_handle(file.get(), H5P_DEFAULT, &handle) >= 0 && handle != nullptr;
  H5Eclear2(H5E_DEFAULT);
  return is_found ? static_cast<const ReadDriver::OpenedFile*>(handle) : nullptr;
}

}  // namespace

int descriptor_of(hid_t object) {
  const Lock lock;
  const ReadDriver::OpenedFile* const file = opened_file(object);
  return file == nullptr ? -1 : file->descriptor;
}

std::shared_ptr<const FileParts> family_of(hid_t object) {
  const Lock lock;
  const ReadDriver::OpenedFile* const file = opened_file(object);
  return file == nullptr ? nullptr : file->family;
}

Locating::Locating() {
  INVARIANT(locating == nullptr, "a search for a chunk within another");
  locating = this;
}

Locating::~Locating() { locating = nullptr; }

}  // namespace lockstep::hdf5
