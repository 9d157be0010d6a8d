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
#include <type_traits>

#include "io/hdf5/hdf5.h"
#if H5_VERSION_GE(1, 13, 0)
#include <H5FDdevelop.h>
#endif

namespace lockstep::hdf5 {

namespace {

Locating* locating = nullptr;  // guarded by the Lock

/// Puts a system error on libhdf5's stack, from which last_error() takes it.
void push_error(const char* call, int error) {
  H5Epush2(H5E_DEFAULT, __FILE__, call, __LINE__, H5E_ERR_CLS, H5E_VFL, H5E_SYSERRSTR,
           "%s failed: error message = '%s'", call, std::strerror(error));
}

}  // namespace

/// An open file. libhdf5 fills in `common` and passes a pointer to it, which is one to the whole.
class ReadDriver {
 public:
  static const H5FD_class_t& functions() {
    static const H5FD_class_t functions = [] {
      H5FD_class_t result{};
#ifdef H5FD_CLASS_VERSION
      constexpr int kValue = 500;  // libhdf5 leaves 256 to 511 to programs
      result.version = H5FD_CLASS_VERSION;
      result.value = kValue;
#endif
      result.name = "lockstep_read";
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
        *handle = &of(file).descriptor_;
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
    file->descriptor_ = ::open(name, O_RDONLY | O_CLOEXEC);
    if (file->descriptor_ < 0) {
      push_error("open", errno);
      return nullptr;
    }
    struct stat status {};
    if (fstat(file->descriptor_, &status) != 0) {
      push_error("fstat", errno);
      ::close(file->descriptor_);
      return nullptr;
    }
    file->bytes_ = static_cast<haddr_t>(status.st_size);
    file->device_ = status.st_dev;
    file->inode_ = status.st_ino;
    return &file.release()->common_;
  }

  static herr_t close(H5FD_t* file) {
    const std::unique_ptr<ReadDriver> owned(&of(file));
    return ::close(owned->descriptor_);
  }

  /// An order of files, and whether two are the same.
  static int compare(const H5FD_t* a, const H5FD_t* b) {
    const ReadDriver &first = of(a), &second = of(b);
    if (first.device_ != second.device_) return first.device_ < second.device_ ? -1 : 1;
    return first.inode_ == second.inode_ ? 0 : first.inode_ < second.inode_ ? -1 : 1;
  }

  static herr_t query(const H5FD_t*, unsigned long* flags) {
    if (flags == nullptr) return 0;
    *flags = H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE | H5FD_FEAT_POSIX_COMPAT_HANDLE |
             H5FD_FEAT_SUPPORTS_SWMR_IO;
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
    while (bytes > 0) {
      const ssize_t got = pread(of(file).descriptor_, at, bytes, static_cast<off_t>(address));
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

  /// Locks are off by default; HDF5_USE_FILE_LOCKING turns them on.
  static herr_t lock(H5FD_t* file, int operation) {
    if (flock(of(file).descriptor_, operation) == 0 || errno == ENOSYS) return 0;
    push_error("flock", errno);
    return -1;
  }

  H5FD_t common_{};
  int descriptor_ = -1;
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

int descriptor_of(hid_t object) {
  const Lock lock;
  const Id file(H5Iget_file_id(object));
  const Id access(file ? H5Fget_access_plist(file.get()) : H5I_INVALID_HID);
  void* handle = nullptr;
  const bool is_found = access && H5Pget_driver(access.get()) == read_driver() &&
                        H5Fget_vfd_handle(file.get(), H5P_DEFAULT, &handle) >= 0 && handle != nullptr;
  H5Eclear2(H5E_DEFAULT);
  return is_found ? *static_cast<const int*>(handle) : -1;
}

Locating::Locating() {
  INVARIANT(locating == nullptr, "a search for a chunk within another");
  locating = this;
}

Locating::~Locating() { locating = nullptr; }

}  // namespace lockstep::hdf5
