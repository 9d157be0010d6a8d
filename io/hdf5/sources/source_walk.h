#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "io/hdf5/mapping.h"
#include "io/hdf5/sources/sources.h"

namespace lockstep::hdf5 {

/// Goes through the sources of a data set, and through theirs.
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
  /// Opens a source that the file `own` names, once, and gives its extents. takes: begins an error.
  const Extents& visit_source(const std::string& takes, const std::string& own, const std::string& file,
                              const std::string& name);
  /// The sources of a mapping whose names are numbered, as far as there are any.
  void visit_numbered(const Dataset& dataset, const std::string& own, const Mapping& mapping);

  bool thorough_, decode_;
  int depth_ = 0;
  Sources found_;
  std::set<std::string> known_files_;
  /// What was opened, by the file that names it, and then by the file and data set that it names.
  std::map<std::string, std::map<std::pair<std::string, std::string>, Extents>> sources_;
};

/// A sentence about the rows of a chunked or contiguous data set that were never written, or "".
std::string unwritten_rows(const Dataset& dataset);

}  // namespace lockstep::hdf5
