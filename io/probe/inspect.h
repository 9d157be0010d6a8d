#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "io/probe/finding.h"

namespace lockstep {

/// A data set as shown by `lockstep data info`.
struct DatasetDescription {
  std::string name;                  ///< "/train/x"
  std::vector<int64_t> shape;        ///< empty: a single value
  std::string type;                  ///< "uint8", "float32 (big-endian)", "string", ...
  std::string link;                  ///< "soft link to /labels", ...; "" if it is not a link
  std::string layout;                ///< "contiguous", "chunked", "compact", "virtual", "external"
  std::vector<int64_t> chunk;        ///< empty unless chunked
  std::vector<std::string> filters;  ///< "shuffle", "deflate", ...
  std::string by_libhdf5;         ///< why libhdf5 reads the values, one thread at a time; "" if it does not
  int64_t stored_bytes = 0;       ///< in the file, after compression
  int64_t value_bytes = 0;        ///< of one value in the file, not compressed
  bool written = true;            ///< false: no value was ever stored, so all read as the fill value
  bool usable = false;            ///< as x or as targets
  std::string usable_as;          ///< how else than by its name (lockstep::usable_as()); "" if not at all
  std::string x_fields, y_field;  ///< of a table: find_fields(); "" if there are none
  bool unreadable = false;        ///< it has values, but a filter is missing on this machine
  std::string problem;            ///< why it is not usable, or ""
  bool broken = false;            ///< not usable because its values cannot be read
  /// A sentence each: rows that were never written, ...
  std::vector<std::string> warnings;
  std::vector<std::string> notes;  ///< what training understands of it: RowFacts::notes
};

/// Several data sets that a config names as one.
struct ObjectDescription {
  std::string name;                ///< "/X", "/data/*/obs"
  std::string what;                ///< in words
  std::vector<std::string> parts;  ///< the names of the data sets
};

/// Samples that a file holds, with their targets, as far as that is clear without reading them.
struct SourceDescription {
  std::string x = "", y = "", group = "";  ///< as in FoundSource
  int64_t samples = 0;
  std::vector<int64_t> shape = {};      ///< of a sample
  std::string type = "";                ///< of its values
  std::vector<std::string> notes = {};  ///< what training understands that is said of no data set
};

struct FileDescription {
  std::string path = "";
  int64_t file_bytes = 0;                         ///< of all members if it is a family
  std::string family = "";                        ///< hdf5::describe_family(); "" if it is one file
  std::vector<DatasetDescription> datasets = {};  ///< in name order
  std::vector<ObjectDescription> objects = {};
  std::vector<SourceDescription> sources = {};
  std::vector<std::string> problems = {};      ///< one sentence for each data set that cannot be opened
  std::vector<std::string> broken_links = {};  ///< one sentence for each broken link
};

/// The result of reading every value of a data set.
struct DatasetCheck {
  DatasetDescription description;
  int64_t values = 0;                 ///< values read
  bool has_numbers = false;           ///< whether there is a finite number among them
  int64_t not_finite = 0;             ///< NaN and infinities
  double min = 0, max = 0, mean = 0;  ///< over the finite values
};

/// How training uses a source.
struct SourceCheck {
  std::string source = "";                    ///< "/train", or "x = /X, y = /obs/cell_type" for other names
  std::string data = "";                      ///< Dataset::describe_stored()
  std::string task = "";                      ///< task_in_words(); "" without targets
  int64_t first_label = 0;                    ///< Understood::first_label
  std::vector<int64_t> class_targets = {};    ///< Dataset::class_targets()
  std::vector<std::string> class_names = {};  ///< Dataset::class_names()
  std::vector<std::string> notes = {};        ///< Dataset::notes()
  std::vector<Finding> findings = {};
};

struct FileCheck {
  std::string path;
  std::vector<DatasetCheck> datasets;
  std::vector<SourceCheck> sources;   ///< those with targets
  std::vector<std::string> problems;  ///< one sentence each; empty if the file is valid
};

/// Lists the contents of a file, in a child process. Throws Error(data) if it is not an HDF5 file, or damaged
/// or malicious as a whole. seconds: how long the child may run without progress.
FileDescription describe_file(const std::string& path, double seconds = 20);

/// Reads every value of every data set and sparse matrix, in a child process, and reports problems:
/// unreadable values, NaN and infinities, an x and y of a group that training rejects, nothing to train on.
/// Opens the sources that find_sources() finds as training does. Throws as describe_file does. progress:
/// called several times a second with bytes of values read.
FileCheck check_file(const std::string& path, double seconds = 20,
                     const std::function<void(int64_t done, int64_t all)>& progress = nullptr);

/// The same in this process, used by the child.
FileDescription describe_here(const std::string& path);
FileCheck check_here(const std::string& path);

void to_json(nlohmann::json& json, const DatasetDescription& value);
void to_json(nlohmann::json& json, const FileDescription& value);
void to_json(nlohmann::json& json, const DatasetCheck& value);
void to_json(nlohmann::json& json, const SourceCheck& value);
void to_json(nlohmann::json& json, const FileCheck& value);

}  // namespace lockstep
