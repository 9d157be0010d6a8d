#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "src/tensor/tensor.h"

namespace lockstep {

/// Everything a run needs to go on, by name; it does not know how many ranks wrote it. Tensors are host
/// memory owned by the caller on save, and by `storage` on load, in logical order: convolution weights (K, C,
/// R, S), linear (out, in).
struct Checkpoint {
  struct Named {
    std::string name;  ///< "model/conv1/weight", "optimizer/adam/m/conv1/weight", "state/bn1/running_mean"
    ConstTensor tensor;
  };
  std::vector<Named> tensors;
  std::map<std::string, int64_t>
      integers;  ///< position: epoch, step_in_epoch, step, seed, early-stop counters, ...
  std::map<std::string, double> reals;  ///< best metric, ...
  std::map<std::string, std::string>
      strings;  ///< config, versions, data fingerprints, model description, weights_hash

  std::vector<std::vector<std::byte>> storage;
};

/// Writes FILE: to a temporary name beside it, each tensor with its XXH3-64, flushed (fsync of file and
/// folder), then renamed. On any failure (full disk, no permission) the temporary file is removed, whatever
/// FILE was stays, and Error(data) says which file and why.
void save_checkpoint(const std::string& path, const Checkpoint& checkpoint);

/// Reads and verifies a file. Throws Error(data) naming the file and the tensor whose hash is wrong, or what
/// is missing; the file is looked at in a child process first, as data sets are.
Checkpoint load_checkpoint(const std::string& path);

/// RUN_DIR/checkpoints: names "step-XXXXXXXX.h5", "best.h5" and the text file "latest" that names the newest.
std::string checkpoint_path(const std::string& run_dir, int64_t step);
std::string best_checkpoint_path(const std::string& run_dir);
/// Writes "latest" atomically; then removes the oldest step files beyond `keep` (never best.h5).
void publish_checkpoint(const std::string& run_dir, const std::string& path, int keep);
/// The newest complete checkpoint of a run folder, from "latest", else by step number; "" if there is none.
/// A path to a file is returned as it is.
std::string find_checkpoint(const std::string& run_dir_or_file);

}  // namespace lockstep
