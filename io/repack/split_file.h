#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "io/dataset/dataset.h"
#include "io/repack/assign_parts.h"

namespace lockstep {

struct SplitOptions {
  std::vector<SplitPart> parts;
  bool by_class = false;  ///< each part has its share of each class
  uint64_t seed = 1;
  int64_t memory_bytes = int64_t{256} << 20;  ///< for samples, apart from what libhdf5 takes
  int threads = 1;                            ///< that compress
  DatasetOptions reading = {};                ///< how training reads the source
  /// Called as bytes of values are written, with those of all data sets.
  std::function<void(int64_t done, int64_t all)> progress = nullptr;
};

/// What was written.
struct SplitResult {
  struct Part {
    std::string name;
    int64_t samples = 0;
    std::map<int64_t, int64_t> classes = {};  ///< samples of each class; empty unless split by class
  };
  std::vector<Part> parts;
  ClassNames class_names;             ///< of the classes, if they have names
  int64_t first_label = 0;            ///< the label of class 0
  std::vector<std::string> datasets;  ///< names in each part: "x", "y", ...
  std::vector<std::string> left_out;  ///< data sets of the group that were not copied, with the reason
};

/// Writes a new file with a group for each part, which holds the part's rows of x, of y unless its name is
/// empty, and of all other data sets beside x with as many rows, in their stored order, with attributes; see
/// open_to_divide(). What was compressed stays so, by deflate; everything else is contiguous. The choice
/// depends on the number of samples, their classes, the shares and the seed alone. `out` appears complete or
/// not at all. source: one file, all of its rows. Throws Error(data), Error(usage).
SplitResult split_file(const DataSource& source, const std::string& out, const SplitOptions& options);

}  // namespace lockstep
