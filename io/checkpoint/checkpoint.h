#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "src/tensor/tensor.h"

namespace lockstep {

/// Everything a run needs to resume, by name; independent of the number of ranks. Tensors are in host memory,
/// owned by the caller on save and by `storage` on load, in logical order: convolution weights (K, C, R, S),
/// linear (out, in).
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

/// Writes a file under a temporary name beside it, each tensor with its XXH3-64, flushes it (fsync of file
/// and folder), then renames it. On any failure (full disk, no permission) the temporary file is removed, an
/// existing file stays as it was, and Error(data) names the file and the reason. For many similar
/// checkpoints, see CheckpointLayout.
void save_checkpoint(const std::string& path, const Checkpoint& checkpoint);

/// Reads and verifies a file. Throws Error(data) naming the file and the tensor whose hash is wrong, or what
/// is missing. The file is first checked in a child process, like data sets.
Checkpoint load_checkpoint(const std::string& path);

/// RUN_DIR/checkpoints: names "step-XXXXXXXX.h5", "best.h5" and the text file "latest" that names the newest.
std::string checkpoint_path(const std::string& run_dir, int64_t step);
std::string best_checkpoint_path(const std::string& run_dir);
/// Which checkpoints of a run are kept.
struct KeepCheckpoints {
  int newest = 3;
  double every_minutes = 0;  ///< of the older ones, keep one every N minutes, by file time; 0: none
};
/// Writes "latest" atomically. Then removes the step files that `keep` does not retain, those of steps after
/// the one just published, which the run abandoned when it resumed from an older one, and incomplete files
/// left by killed processes. Keeps best.h5.
void publish_checkpoint(const std::string& run_dir, const std::string& path, const KeepCheckpoints& keep);
/// The checkpoints of a run folder, newest first: the one named by "latest", then the others by step number;
/// empty if the folder does not exist.
std::vector<std::string> find_checkpoints(const std::string& run_dir);

/// A checkpoint and the path it was read from.
struct LoadedCheckpoint {
  std::string path;
  Checkpoint checkpoint;

  /// A value by its name. Throws Error(data) if it is missing: the file was not written by a training run, or
  /// by another version of Lockstep.
  int64_t integer(const std::string& name) const;
  double real(const std::string& name) const;
  const std::string& text(const std::string& name) const;
};
/// For a run folder: the newest intact checkpoint, with a warning for each newer one that is damaged, or
/// named by "latest" but missing; none if the run never wrote one. For a file: that checkpoint. Throws
/// Error(data) if the file is damaged, or if all of the folder's checkpoints are damaged or missing.
std::optional<LoadedCheckpoint> load_newest_checkpoint(const std::string& run_dir_or_file);

}  // namespace lockstep
