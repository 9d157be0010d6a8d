#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "src/tensor/tensor.h"

namespace lockstep {

/// Everything a run needs to go on, by name; it does not know how many ranks wrote it. Tensors are host
/// memory owned by the caller on save, and by `storage` on load, in logical order: convolution weights (K, C,
/// R, S), linear (out, in).
struct Checkpoint {
  struct Named {
    std::string name;  ///< "model/conv1.weight", "optimizer/adam/m/conv1.weight", "state/bn1.running_mean"
    ConstTensor tensor;
  };
  std::vector<Named> tensors;
  std::map<std::string, int64_t> integers;     ///< position, seed, fingerprints, early-stop counters, ...
  std::map<std::string, double> reals;         ///< best metric, ...
  std::map<std::string, std::string> strings;  ///< config, version, description of the data

  std::vector<std::vector<std::byte>> storage;
};

/// Writes FILE: to a temporary name beside it, each tensor with its XXH3-64, flushed (fsync of file and
/// folder), then renamed (see CheckpointLayout, also for writing many). On any failure (full disk, no
/// permission) the temporary file is removed, whatever FILE was stays, and Error(data) says which file and
/// why.
void save_checkpoint(const std::string& path, const Checkpoint& checkpoint);

/// Reads and verifies a file. Throws Error(data) naming the file and the tensor whose hash is wrong, or what
/// is missing; the file is looked at in a child process first, as data sets are.
Checkpoint load_checkpoint(const std::string& path);

/// RUN_DIR/checkpoints: names "step-XXXXXXXX.h5", "best.h5" and the text file "latest" that names the newest.
std::string checkpoint_path(const std::string& run_dir, int64_t step);
std::string best_checkpoint_path(const std::string& run_dir);
/// Which checkpoints of a run stay.
struct KeepCheckpoints {
  int newest = 3;
  double every_minutes = 0;  ///< of the older ones, one of so many minutes, by the files' times; 0: none
};
/// Writes "latest" atomically; then removes step files that are older than `keep` says, those of steps behind
/// the one just published, which the run gave up when it went on from an older one, and what killed processes
/// left half written. best.h5 stays.
void publish_checkpoint(const std::string& run_dir, const std::string& path, const KeepCheckpoints& keep);
/// The checkpoints of a run folder, the newest first: the one that "latest" names, then the others by step
/// number; none where there is no such folder.
std::vector<std::string> find_checkpoints(const std::string& run_dir);

/// A checkpoint and where it was read.
struct LoadedCheckpoint {
  std::string path;
  Checkpoint checkpoint;

  /// A value by its name. Throws Error(data) when there is none: then no training run wrote it, or another
  /// Lockstep.
  int64_t integer(const std::string& name) const;
  double real(const std::string& name) const;
  const std::string& text(const std::string& name) const;
};
/// Of a run folder: the newest checkpoint that is whole, with a warning for each newer one that is damaged or
/// that "latest" names and is gone; none when there never was one. Of a file: that one. Throws Error(data)
/// when the file is damaged, or when all of the folder's are damaged or gone.
std::optional<LoadedCheckpoint> load_newest_checkpoint(const std::string& run_dir_or_file);

}  // namespace lockstep
