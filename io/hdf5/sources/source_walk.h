#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "io/hdf5/mapping.h"
#include "io/hdf5/sources/sources.h"

namespace lockstep::hdf5 {

/// Visits the sources of a data set, recursively.
class SourceWalk {
 public:
  SourceWalk(bool thorough, bool decode) : thorough_(thorough), decode_(decode) {}

  /// Throws Error(data) as require_sources does.
  void visit(const Dataset& dataset);
  Sources found() && { return std::move(found_); }

 private:
  using Extents = std::vector<int64_t>;

  void add_file(const std::string& path);
  void visit_raw_files(const Dataset& dataset, const std::string& own);

  void visit_virtual(const Dataset& dataset, const std::string& own);
  /// Opens a source named by the file `own`, once, and returns its extents. takes: the beginning of errors.
  const Extents& visit_source(const std::string& takes, const std::string& own, const std::string& file,
                              const std::string& name);
  /// The existing sources of a mapping with numbered names.
  void visit_numbered(const Dataset& dataset, const std::string& own, const Mapping& mapping);

  bool thorough_, decode_;
  int depth_ = 0;
  Sources found_;
  std::set<std::string> known_files_;
  /// The sources opened so far, by the file that refers to them, then by the file and data set it names.
  std::map<std::string, std::map<std::pair<std::string, std::string>, Extents>> sources_;
};

/// A sentence about the rows of a chunked or contiguous data set that were never written, or "".
std::string unwritten_rows(const Dataset& dataset);

}  // namespace lockstep::hdf5
