#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/hdf5/hdf5.h"

namespace lockstep::hdf5 {

/// The files that contain the values of a data set.
struct Sources {
  /// Full paths without duplicates: the file that was opened or, if it is a family, its members, the target
  /// of an external link, the sources of a virtual data set and theirs, the raw files of external storage.
  std::vector<std::string> files;
  /// One sentence each: rows that were never written, or to which no source is mapped, and that read as fill
  /// values.
  std::vector<std::string> warnings;
  /// Reserves one file descriptor per file for libhdf5, which opens a source when it is first read.
  std::shared_ptr<void> descriptors;
};

/// Finds and opens all files that contain values of a data set, because libhdf5 silently reads fill values
/// from a file that it cannot open, and beyond the end of a raw file. Throws Error(data) that names the full
/// path of a source that is missing, unusable or too short, the data set and rows that need it, and the
/// remedy. thorough: also warn about chunks that were never written, which walks the chunk index, and about
/// processes that have one of the files open for writing. decode: also decode every chunk of the sources of a
/// virtual data set, which libhdf5 reads without checking the decoded size of a chunk; for a child process.
Sources require_sources(const Dataset& dataset, bool thorough = false, bool decode = false);

/// Opens the file `name`, to which the file `from` refers, where libhdf5 would find it. Throws Error(data),
/// which begins with `needed_by`, if it is missing or unusable.
enum class Reference;
File open_referenced(Reference kind, const std::string& name, const std::string& from,
                     const std::string& needed_by);

}  // namespace lockstep::hdf5
