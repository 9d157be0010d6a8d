#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "src/device/exec.h"

namespace lockstep {

/// Reads files into the memory of a GPU by GPUDirect Storage (libcufile): past the host's memory where the
/// driver nvidia-fs and the file system allow it, and through a buffer of libcufile's elsewhere. Safe to use
/// from several threads at once. Not verified on hardware so far: tests run it on the emulator's cuFile.
class FileToGpu {
 public:
  /// exec: on a GPU. library: to load; empty: libcufile, wherever the loader finds it. Throws Error(usage) if
  /// it cannot be loaded or says that it cannot work here.
  explicit FileToGpu(Exec exec, const std::string& library = {});
  ~FileToGpu();

  /// Prepares memory of the GPU for reads into it. It must outlive this.
  void add_destination(std::byte* memory, size_t bytes);
  /// Reads bytes of an open regular file, from `offset` on, to `at` bytes behind the beginning of a
  /// destination, and waits. The file must stay open. Returns "", or why it failed.
  std::string read(int descriptor, int64_t offset, std::byte* destination, size_t at, size_t bytes) const;
  /// Sets memory of the GPU to zero, and waits.
  void fill_zero(std::byte* memory, size_t bytes) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lockstep
