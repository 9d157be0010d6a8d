#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/dataset/machine_memory.h"
#include "io/dataset/reading_order.h"
#include "io/dataset/row_slice.h"
#include "io/dataset/stored_blocks.h"
#include "io/dataset/stored_samples.h"
#include "io/dataset/targets/class_names.h"
#include "io/hdf5/chunks/kept_places.h"
#include "src/tensor/tensor.h"

namespace lockstep {

/// The target of a window of a long series that has a target at each row.
enum class WindowTarget {
  last,  ///< that of its last row
  all,   ///< those of all its rows, as a further axis
};

/// Where samples are stored: HDF5 files, each with data sets x (N, ...) and y, or what open_rows()
/// understands. Several files are concatenated.
struct DataSource {
  std::vector<std::string> files = {};  ///< or patterns; see matching_files()
  std::string x = "/train/x";
  std::string y = "/train/y";  ///< empty: no targets (predict)
  /// The axis of x that counts the samples; negative: from the last. Not set: the first, or the last if it
  /// has as many entries as y, and the first has not.
  std::optional<int> sample_axis = {};
  RowSlice rows = {};  ///< of x and of y: the samples to take, counted through all files
  /// Above 0: the rows (T, ...) of each file are a series, and a sample is `window` consecutive rows of it,
  /// one every `stride` rows (0: window). y has a target at each row, or one for each window.
  int64_t window = 0, stride = 0;
  WindowTarget window_target = WindowTarget::last;
};

/// Parses a source written as "FILE:/GROUP", with the data sets GROUP/x and GROUP/y, or as "FILE", where
/// GROUP is `split`.
DataSource parse_data_source(const std::string& text, const std::string& split);

/// What the targets of a data set are.
enum class TargetKind {
  none,
  classes,        ///< one integer per sample, or per position (N, H, W), (N, T); delivered as int32
  probabilities,  ///< one-hot or soft class targets (N, C); delivered as float32
  values,         ///< regression targets (N, ...); delivered as float32
  labels,         ///< several labels of 0 or 1, (N, L) or (N, ...); delivered as float32
};

/// What the user says the targets are; automatic: inferred from the data (Targets). tokens: the samples are
/// sequences of token ids, and the targets are the same ids one position later (open_next_tokens()).
enum class TargetTask { automatic, classes, labels, values, tokens };

/// The data sets that are read of a source: x, and y unless there is none or x holds the targets too.
std::vector<std::string> names_read(const DataSource& source, TargetTask task);

/// What was understood of the training data of a run, so that its other data, and that of later evaluations,
/// is read alike, whatever it looks like.
struct Understood {
  int64_t first_label = 0;  ///< the label that stands for class 0
  int sample_axis = 0;      ///< the axis of x that counts the samples; -1: the last

  bool operator==(const Understood&) const = default;
};

struct SourceFacts;  // io/probe/findings.h

/// The cache of decoded blocks of a streamed data set.
struct CacheUse {
  int64_t bytes = 0;  ///< of memory for blocks, of all ranks that share it; 0: nothing is cached
  int shared_by = 1;  ///< ranks
  int64_t decoded =
      0;  ///< blocks that these ranks have decoded so far, again if they were given up meanwhile
};

/// Samples that lie one after another in a file, as they are delivered.
struct StoredRun {
  int64_t first = 0, samples = 0;  ///< [first, first + samples) of the data set
  int descriptor = -1;             ///< of the open file
  int64_t offset = 0;              ///< of the first sample in the file, in bytes
  std::string file, name;          ///< and of the data set in it
  int64_t row = 0;                 ///< of the first sample, in that data set
};

/// Random access to samples. Safe to call from several threads at once.
class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual int64_t size() const = 0;
  /// Shape and type of one sample as stored (no batch axis): uint8, float16, float32, float64; other integer
  /// types are delivered as float32, and token ids as int32.
  virtual const Shape& x_shape() const = 0;
  virtual DType x_dtype() const = 0;
  virtual TargetKind target_kind() const = 0;
  /// () for one class per sample; (H, W), (T) or the like for a class at each position; (C), (L) or (D)
  /// otherwise.
  virtual const Shape& y_shape() const = 0;
  /// Whether a sample (T) has T classes as its targets.
  bool has_class_at_each_position() const {
    return target_kind() == TargetKind::classes && x_shape().rank() == 1 && y_shape().rank() == 1;
  }
  /// Number of classes (DatasetOptions::classes, else largest label + 1, or C); 0 for values and labels.
  virtual int64_t classes() const = 0;
  /// What other data of the same run has to be read like.
  virtual Understood understood() const { return {}; }
  /// The names of the classes, if the targets are stored with names; else empty.
  virtual const ClassNames& class_names() const;
  /// The class of a sample; -1 if it has none, or is ignored, or if there is not one class per sample.
  virtual int64_t label(int64_t /*index*/) const { return -1; }
  /// Number of targets of each class, without ignored ones; empty unless they were counted.
  virtual std::vector<int64_t> class_targets() const { return {}; }
  /// Copies sample indices[i] to row i of x and y (y is null if there are no targets; x may be null if there
  /// are stored_runs()). Throws Error(data) naming file and data set.
  virtual void read(std::span<const int64_t> indices, std::byte* x, std::byte* y) const = 0;
  /// The numbers of values of these samples, sequences of variable length, without the padding behind them;
  /// with targets of variable length, too, those of the longer of the two. Empty if no sample is padded.
  virtual std::vector<int64_t> lengths(std::span<const int64_t> /*indices*/) const { return {}; }
  /// Where all samples lie, in order, if x can be read from the files without read(), byte for byte. Empty if
  /// it cannot, as what is in memory, compressed, or of another type. Values are not examined then.
  virtual std::vector<StoredRun> stored_runs() const { return {}; }
  /// Throws Error(data) if the file with a sample has changed since it was opened.
  virtual void require_unchanged(int64_t /*index*/) const {}
  /// Announces what the ranks will read, until the result is destroyed: a cache then keeps what is needed
  /// soonest. Changes no sample. Null if nothing is cached.
  virtual std::unique_ptr<Expectation> expect(const ReadingOrder& order) const;
  virtual CacheUse cache_use() const { return {}; }
  /// XXH3 of what identifies the data: names, shapes, types, sizes and a selection of samples, rather than
  /// every byte.
  virtual uint64_t fingerprint() const = 0;
  /// See DatasetOptions::readers.
  virtual int readers() const { return 1; }
  /// Whether read() copies from memory rather than from files.
  virtual bool in_memory() const = 0;
  /// How read() gets samples: a RowSource::route(); several if the files differ; "" if it is none of them.
  virtual std::string route() const { return ""; }
  /// What was understood of the data and may surprise its owner, one sentence each without a full stop;
  /// open_dataset() logs them.
  virtual std::vector<std::string> notes() const { return {}; }
  /// "mnist.h5:/train/x (60000, 28, 28) uint8, in memory", for the log.
  virtual std::string describe() const = 0;
  /// The same without how it is held, which may differ between two runs on the same data.
  virtual std::string describe_stored() const { return describe(); }
  /// The row of the stored data that holds sample `index`. The two differ in a part of a data set.
  virtual int64_t stored_row(int64_t index) const { return index; }
  /// The sample in a row of the stored data; -1 if this part of a data set does not contain it.
  virtual int64_t sample_at(int64_t stored_row) const { return stored_row; }
  /// The blocks in which rows are stored, for an order of samples that reads each block once.
  virtual StoredBlocks stored_blocks() const;
  /// See StoredSamples. Does not depend on whether samples are held in memory, apart from `decoded_bytes`.
  virtual StoredSamples stored_samples() const;
  /// Facts about the stored data, for warnings; reads a few samples. Empty if nothing is known.
  virtual std::optional<SourceFacts> facts() const;
};

/// The samples in a block of stored rows, in stored order; of a part of a data set, those that it contains.
std::vector<int64_t> samples_of_block(const Dataset& dataset, const StoredBlocks& blocks, int64_t block);

struct DatasetOptions {
  /// Bytes of memory in this process. A data set that fits is read into memory once; a larger one is
  /// streamed.
  int64_t memory_budget = int64_t{4} << 30;
  /// Threads that will read at once (Loader::Options::threads): when streamed, each can decode a block,
  /// whatever the budget.
  int readers = 1;
  TargetTask task = TargetTask::automatic;
  int64_t classes = 0;  ///< number of classes, above every label; 0: largest label + 1
  std::optional<TargetKind> kind = std::nullopt;  ///< if known from other data, such as the training data
  ClassNames class_names = {};  ///< with `kind`: of the other data's classes; others are unknown
  /// Lengths to which sequences of variable length are padded; 0: that of the longest.
  int64_t x_length = 0, y_length = 0;
  std::optional<double> missing = std::nullopt;         ///< what NaN and missing values in x are read as
  std::optional<int64_t> ignored_label = std::nullopt;  ///< a label that stands for no class
  /// Of the training data, if this is other data. Not set: the first label is 1 if the labels are 1, 2, ...,
  /// C, each of which occurs, and C is `classes` if that is set; else 0.
  std::optional<Understood> understood = std::nullopt;
  /// tokens: a data set (N) is one long sequence, cut into windows of `context` tokens, one every `stride`
  /// (0: side by side); 0: sequences are rows (N, T).
  int64_t context = 0, stride = 0;
  /// Holds data in memory, and caches what is streamed, once on a machine, not on each rank; null: on each
  /// rank. Used while opening only, which is then collective.
  const MachineMemory* machine = nullptr;
  /// Where the places of the chunks of x are kept from run to run.
  hdf5::PlacesFolder places = {};
  bool probe = true;   ///< check the files in a child process first; one rank of several is enough
  bool finite = true;  ///< reject NaN and infinities of x; false: deliver them
};

/// Pads sequences to the lengths of other data, given the shapes of its samples and targets.
void pad_like(DatasetOptions& options, const Shape& x, const Shape& y);

/// Opens and checks a data set. Each file is first probed in a child process with limits on time and memory,
/// because libhdf5 can crash or hang on a damaged file. x and y must have the same length, labels must be in
/// range, and no value may be NaN or infinite (checked while reading into memory or, when streaming, as
/// batches are read). Throws Error(data) with file, data set, position and remedy.
std::unique_ptr<Dataset> open_dataset(const DataSource& source, const DatasetOptions& options);

/// Two views of one data set: a seeded random `fraction` of the samples for validation, and the rest for
/// training. The choice depends on (seed, size, fraction) alone.
struct Split {
  std::unique_ptr<Dataset> train, validation;
};
Split split_dataset(std::shared_ptr<const Dataset> dataset, double fraction, uint64_t seed);

}  // namespace lockstep
