#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/hdf5/hdf5.h"

namespace lockstep::hdf5 {

/// The files that the values of a data set lie in.
struct Sources {
  /// Full paths, each once: the file that was opened, the one at the end of an external link, the sources of
  /// a virtual data set and theirs, the raw files of external storage.
  std::vector<std::string> files;
  /// One sentence each: rows that nobody wrote, or that no source is mapped to, and that read as fill values.
  std::vector<std::string> warnings;
  /// Keeps so many file descriptors free for libhdf5, which opens a source when it is first read.
  std::shared_ptr<void> descriptors;
};

/// Finds and opens everything that the values of a data set lie in. libhdf5 reads what it cannot open, and
/// what is missing at the end of a raw file, as fill values. Throws Error(data) that names the full path of a
/// source that is missing, cannot be used or is too short, the data set and rows that need it, and the
/// remedy. thorough: also warn of chunks that were never written, which walks the index of chunks, and of
/// processes that have one of the files open for writing. decode: also decode every chunk of the sources of a
/// virtual data set, which libhdf5 reads without looking at the size that a chunk decodes to; for a child
/// process.
Sources require_sources(const Dataset& dataset, bool thorough = false, bool decode = false);

/// Opens the file `name` that the file `from` refers to, where libhdf5 would find it. Throws Error(data),
/// which begins with `needed_by`, when it is missing or cannot be used.
enum class Reference;
File open_referenced(Reference kind, const std::string& name, const std::string& from,
                     const std::string& needed_by);

}  // namespace lockstep::hdf5
