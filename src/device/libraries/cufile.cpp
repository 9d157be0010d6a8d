#include "src/device/libraries/cufile.h"

#include "src/core/error.h"

#ifdef LOCKSTEP_HAVE_CUDA

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

#include "src/device/cuda_context.h"

namespace lockstep {

namespace {

// Declared here as far as it is used, because Debian does not package cufile.h. These have been the same
// since the first release (CUDA 11.4).
struct CuFileStatus {
  int error, cuda_error;
};
struct CuFileDescription {
  int type;
  union {
    int descriptor;
    void* handle;
  };
  const void* operations;
};
constexpr int kLinuxDescriptor = 1;  // CuFileDescription::type
constexpr int kAlreadyOpen = 5026;   // CuFileStatus::error

std::string words_of_cufile(int error) {
  const auto known = [&]() -> const char* {
    switch (error) {
      case 5001:
        return "the driver nvidia-fs is not loaded, and cufile.json does not allow the compatible mode";
      case 5007:
        return "it does not support this machine";
      case 5008:
        return "it does not support this file or its file system";
      case 5009:
        return "it does not support this GPU";
      case 5020:
        return "it needs files that are open with O_DIRECT";
      case 5027:
        return "the file is not registered";
      default:
        return nullptr;
    }
  }();
  return known != nullptr ? fmt::format("{} (error {})", known, error) : fmt::format("error {}", error);
}

/// The functions of the library, which stays loaded until the process ends, as its driver stays open.
struct CuFileLibrary {
  explicit CuFileLibrary(const std::string& path) {
    void* const library = dlopen(path.c_str(), RTLD_LAZY | RTLD_LOCAL);
    if (library == nullptr)
      fail(ExitCode::usage,
           "cannot load {}: {}. Install GPUDirect Storage of the CUDA Toolkit (libcufile), or set "
           "data.gpu_direct = false.",
           path, dlerror());
    const auto find = [&](auto*& function, const char* name) {
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
      if (function == nullptr) fail(ExitCode::usage, "{} has no {}: it is another library.", path, name);
    };
    find(open_driver, "cuFileDriverOpen");
    find(register_file, "cuFileHandleRegister");
    find(release_file, "cuFileHandleDeregister");
    find(register_memory, "cuFileBufRegister");
    find(release_memory, "cuFileBufDeregister");
    find(read, "cuFileRead");
    if (const CuFileStatus status = open_driver(); status.error != 0 && status.error != kAlreadyOpen)
      fail(ExitCode::usage, "GPUDirect Storage does not work here: {}. Set data.gpu_direct = false.",
           words_of_cufile(status.error));
  }

  CuFileStatus (*open_driver)() = nullptr;
  CuFileStatus (*register_file)(void** file, CuFileDescription* description) = nullptr;
  void (*release_file)(void* file) = nullptr;
  CuFileStatus (*register_memory)(const void* memory, size_t bytes, int flags) = nullptr;
  CuFileStatus (*release_memory)(const void* memory) = nullptr;
  ssize_t (*read)(void* file, void* memory, size_t bytes, off_t offset, off_t at) = nullptr;
};

}  // namespace

struct FileToGpu::Impl {
  /// Opened again, past the page cache, which a direct transfer needs.
  struct OpenFile {
    int descriptor = -1;
    void* handle = nullptr;
  };

  Impl(Exec exec, const std::string& path)
      : device(exec.cuda->device()), library(path.empty() ? LOCKSTEP_CUFILE_LIBRARY : path) {
    CHECK(cudaStreamCreateWithPriority(stream.out(), cudaStreamNonBlocking, 0));
  }
  ~Impl() {
    for (const auto& [descriptor, file] : files) {
      library.release_file(file.handle);
      ::close(file.descriptor);
    }
    for (const std::byte* memory : destinations) static_cast<void>(library.release_memory(memory));
  }
  /// Returns "", or why the file cannot be used.
  std::string open(int descriptor, OpenFile& file);

  int device;
  CuFileLibrary library;
  Stream stream;
  std::vector<const std::byte*> destinations;
  std::mutex mutex;
  std::map<int, OpenFile> files;  ///< by the caller's descriptor; guarded by the mutex
};

std::string FileToGpu::Impl::open(int descriptor, OpenFile& file) {
  const std::scoped_lock lock(mutex);
  if (const auto known = files.find(descriptor); known != files.end()) {
    file = known->second;
    return "";
  }
  const std::string path = fmt::format("/proc/self/fd/{}", descriptor);
  file.descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECT);
  // Not every file system has O_DIRECT; newer releases of cuFile do without.
  if (file.descriptor < 0 && errno == EINVAL) file.descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file.descriptor < 0) return std::strerror(errno);
  CuFileDescription description{
      .type = kLinuxDescriptor, .descriptor = file.descriptor, .operations = nullptr};
  if (const CuFileStatus status = library.register_file(&file.handle, &description); status.error != 0) {
    ::close(file.descriptor);
    return "cuFile: " + words_of_cufile(status.error);
  }
  files[descriptor] = file;
  return "";
}

FileToGpu::FileToGpu(Exec exec, const std::string& library) : impl_(std::make_unique<Impl>(exec, library)) {}

FileToGpu::~FileToGpu() = default;

void FileToGpu::add_destination(std::byte* memory, size_t bytes) {
  CHECK(cudaSetDevice(impl_->device));
  if (const CuFileStatus status = impl_->library.register_memory(memory, bytes, 0); status.error != 0)
    fail(ExitCode::usage,
         "GPUDirect Storage cannot use {} bytes of GPU memory: {}. Set data.gpu_direct = false.", bytes,
         words_of_cufile(status.error));
  impl_->destinations.push_back(memory);
}

std::string FileToGpu::read(int descriptor, int64_t offset, std::byte* destination, size_t at,
                            size_t bytes) const {
  CHECK(cudaSetDevice(impl_->device));  // of the calling thread
  Impl::OpenFile file;
  if (std::string problem = impl_->open(descriptor, file); !problem.empty()) return problem;
  while (bytes > 0) {
    const ssize_t got = impl_->library.read(file.handle, destination, bytes, static_cast<off_t>(offset),
                                            static_cast<off_t>(at));
    if (got == -1 && errno == EINTR) continue;
    if (got == -1) return std::strerror(errno);
    if (got < 0) return "cuFile: " + words_of_cufile(static_cast<int>(-got));
    if (got == 0) return "the file ends before its values do";
    offset += got;
    at += static_cast<size_t>(got);
    bytes -= static_cast<size_t>(got);
  }
  return "";
}

void FileToGpu::fill_zero(std::byte* memory, size_t bytes) const {
  if (bytes == 0) return;
  CHECK(cudaSetDevice(impl_->device));
  // On a stream of its own: the compute stream may be captured meanwhile, by another thread.
  CHECK(cudaMemsetAsync(memory, 0, bytes, impl_->stream.get()));
  CHECK(cudaStreamSynchronize(impl_->stream.get()));
}

}  // namespace lockstep

#else

namespace lockstep {

struct FileToGpu::Impl {};
FileToGpu::FileToGpu(Exec, const std::string&) {
  fail(ExitCode::usage, "data.gpu_direct = true needs a build with CUDA.");
}
FileToGpu::~FileToGpu() = default;
void FileToGpu::add_destination(std::byte*, size_t) {}
std::string FileToGpu::read(int, int64_t, std::byte*, size_t, size_t) const { return ""; }
void FileToGpu::fill_zero(std::byte*, size_t) const {}

}  // namespace lockstep

#endif
