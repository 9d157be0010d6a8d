#include "io/dataset/open_samples.h"

#include <algorithm>
#include <optional>

#include "io/dataset/column.h"
#include "io/dataset/stored_facts.h"
#include "io/dataset/targets/targets.h"
#include "io/dataset/windows/windows.h"
#include "io/probe/findings.h"
#include "src/core/counted.h"

namespace lockstep {

namespace {

/// Samples in HDF5 files: x and, if there are any, targets.
class Hdf5Dataset final : public Dataset {
 public:
  Hdf5Dataset(const DataSource& source, const SourceLayout& layout, const DatasetOptions& options)
      : x_(source.files, source.x, layout.x, source.rows),
        x_shape_(x_.row_shape()),
        sample_axis_(layout.x.sample_axis),
        readers_(options.readers) {
    x_.give_out(x_.natural_dtype(), options.finite ? Column::Check(require_finite) : nullptr);
    if (source.window > 0) cut_windows(source);
    if (!source.y.empty()) {
      auto y = std::make_unique<Column>(source.files, source.y, layout.y, source.rows);
      if (windows_) target_rows_ = target_rows_of(*y, source.window_target);
      if (target_rows_ != TargetRows::one_per_window) require_equal_lengths(x_, *y);
      targets_ = std::make_unique<Targets>(std::move(y), options, &x_);
      y_shape_ = targets_->shape();
      if (target_rows_ == TargetRows::all) y_shape_ = y_shape_.batched(windows_->length());
    }
    place_in_memory(options);
  }

  int64_t size() const override { return windows_ ? windows_->count() : x_.rows(); }
  const Shape& x_shape() const override { return x_shape_; }
  DType x_dtype() const override { return x_.dtype(); }
  TargetKind target_kind() const override { return targets_ ? targets_->kind() : TargetKind::none; }
  const Shape& y_shape() const override { return y_shape_; }
  int64_t classes() const override { return targets_ ? targets_->classes() : 0; }
  const ClassNames& class_names() const override {
    return targets_ ? targets_->class_names() : Dataset::class_names();
  }
  Understood understood() const override {
    return {.first_label = targets_ ? targets_->first_label() : 0, .sample_axis = sample_axis_};
  }
  int64_t label(int64_t index) const override;
  std::vector<int64_t> class_targets() const override;
  std::vector<std::string> notes() const override;
  void read(std::span<const int64_t> indices, std::byte* x, std::byte* y) const override;

  std::vector<int64_t> lengths(std::span<const int64_t> indices) const override;

  std::vector<StoredRun> stored_runs() const override {
    return windows_ ? std::vector<StoredRun>{} : x_.stored_runs();
  }
  void require_unchanged(int64_t index) const override { x_.require_unchanged(index); }

  uint64_t fingerprint() const override;
  int readers() const override { return readers_; }
  bool in_memory() const override { return x_.in_memory(); }
  std::unique_ptr<Expectation> expect(const ReadingOrder& order) const override;
  CacheUse cache_use() const override {
    return targets_ ? cache_use_of({&x_, &targets_->column()}) : cache_use_of({&x_});
  }
  std::string route() const override { return x_.route(); }
  std::string describe() const override;
  std::string describe_stored() const override;
  StoredBlocks stored_blocks() const override;
  StoredSamples stored_samples() const override;
  std::optional<SourceFacts> facts() const override;

 private:
  /// Which rows of y are the target of a window: its last, all of them, or one for each window.
  enum class TargetRows { last, all, one_per_window };

  /// Number of classes according to the data, regardless of DatasetOptions::classes.
  int64_t classes_seen() const {
    return target_kind() == TargetKind::classes ? static_cast<int64_t>(targets_->counts().counts().size())
                                                : classes();
  }
  void cut_windows(const DataSource& source);
  TargetRows target_rows_of(const Column& y, WindowTarget wanted) const;
  void place_in_memory(const DatasetOptions& options);
  /// An order of windows as one of the rows that are read for each: all, or the last.
  ReadingOrder in_rows(const ReadingOrder& order, bool last) const;

  Column x_;
  Shape x_shape_, y_shape_;
  int sample_axis_;
  std::optional<Windows> windows_;  ///< if samples are windows of rows of x_
  TargetRows target_rows_ = TargetRows::last;
  std::unique_ptr<Targets> targets_;
  int64_t budget_ = 0;
  int readers_;
};

void Hdf5Dataset::cut_windows(const DataSource& source) {
  std::vector<int64_t> rows;
  for (size_t file = 0; file < x_.files(); ++file) rows.push_back(x_.rows_in_file(file));
  windows_.emplace(rows, source.window, source.stride > 0 ? source.stride : source.window);
  if (windows_->count() == 0)
    fail(ExitCode::data, "{}:{} has {}, too few for a window of {}.", x_.file(0), x_.name(),
         counted(*std::ranges::max_element(rows), "row"), source.window);
  if (x_.row_shape().rank() + 2 > Shape::kMaxRank)
    fail(ExitCode::data, "{}:{} has rows of {} axes, too many for windows of them.", x_.file(0), x_.name(),
         x_.row_shape().rank());
  x_shape_ = x_.row_shape().batched(source.window);
}

std::vector<int64_t> Hdf5Dataset::lengths(std::span<const int64_t> indices) const {
  if (windows_) return {};
  std::vector<int64_t> lengths = x_.lengths(indices);
  if (lengths.empty() || !targets_) return lengths;
  const std::vector<int64_t> of_targets = targets_->column().lengths(indices);
  for (size_t i = 0; i < of_targets.size(); ++i) lengths[i] = std::max(lengths[i], of_targets[i]);
  return lengths;
}

Hdf5Dataset::TargetRows Hdf5Dataset::target_rows_of(const Column& y, WindowTarget wanted) const {
  bool one_per_row = y.files() == x_.files(), one_per_window = one_per_row;
  for (size_t file = 0; file < std::min(x_.files(), y.files()); ++file) {
    one_per_row = one_per_row && y.rows_in_file(file) == x_.rows_in_file(file);
    one_per_window = one_per_window && y.rows_in_file(file) == windows_->of_series()[file];
  }
  if (!one_per_row && one_per_window) return TargetRows::one_per_window;
  return wanted == WindowTarget::all ? TargetRows::all : TargetRows::last;
}

int64_t Hdf5Dataset::label(int64_t index) const {
  if (!targets_ || target_rows_ == TargetRows::all) return -1;
  const bool is_of_row = windows_ && target_rows_ == TargetRows::last;
  return targets_->label(is_of_row ? windows_->last_rows_of({&index, 1})[0] : index);
}

std::vector<int64_t> Hdf5Dataset::class_targets() const {
  if (!targets_) return {};
  std::vector<int64_t> targets = targets_->class_targets();
  if (!windows_ || target_rows_ != TargetRows::last || targets.empty() || y_shape_.rank() > 0) return targets;
  std::ranges::fill(targets, 0);
  for (int64_t window = 0; window < size(); ++window)
    if (const int64_t of_window = label(window); of_window >= 0) ++targets[static_cast<size_t>(of_window)];
  return targets;
}

std::vector<std::string> Hdf5Dataset::notes() const {
  std::vector<std::string> notes = x_.notes();
  if (!targets_) return notes;
  for (const std::string& note : targets_->column().notes())
    if (std::ranges::find(notes, note) == notes.end()) notes.push_back(note);  // of the same file
  if (std::string note = targets_->note(); !note.empty()) notes.push_back(std::move(note));
  return notes;
}

void Hdf5Dataset::read(std::span<const int64_t> indices, std::byte* x, std::byte* y) const {
  const bool with_targets = targets_ && y != nullptr;
  if (!windows_) {
    if (x != nullptr) x_.read(indices, x);
    if (with_targets) targets_->read(indices, y);
    return;
  }
  const std::vector<int64_t> rows = windows_->rows_of(indices);
  x_.read(rows, x);
  if (!with_targets) return;
  if (target_rows_ == TargetRows::one_per_window) return targets_->read(indices, y);
  targets_->read(target_rows_ == TargetRows::all ? rows : windows_->last_rows_of(indices), y);
}

std::string Hdf5Dataset::describe_stored() const {
  if (!windows_) return stored_in_words(x_);
  const char* const target = !targets_                          ? ""
                             : target_rows_ == TargetRows::last ? ", each with the target of its last row"
                             : target_rows_ == TargetRows::all  ? ", with a target at each row"
                                                                : ", with a target for each";
  return fmt::format("{}, {} of {} rows, one every {}{}", stored_in_words(x_),
                     counted(windows_->count(), "window"), windows_->length(), windows_->stride(), target);
}

StoredBlocks Hdf5Dataset::stored_blocks() const {
  if (!windows_) return x_.blocks();
  const int64_t windows_of_block = std::max<int64_t>(1, x_.blocks().most_rows() / windows_->stride());
  StoredBlocks blocks;
  for (const int64_t windows : windows_->of_series()) blocks.append(windows, windows_of_block);
  return blocks;
}

StoredSamples Hdf5Dataset::stored_samples() const {
  StoredSamples samples = x_.stored_samples();
  if (!windows_) return samples;
  const auto length = static_cast<double>(windows_->length());
  // A window reads the blocks from the one of its first row to that of its last.
  samples.decoded_bytes *= 1 + (length - 1) / static_cast<double>(samples.block);
  samples.sample_bytes *= length;
  samples.parts = windows_->of_series();
  samples.aligned = samples.block == 1;
  samples.block = std::max<int64_t>(1, samples.block / windows_->stride());
  return samples;
}

std::optional<SourceFacts> Hdf5Dataset::facts() const {
  SourceFacts facts = facts_of(x_, targets_.get());
  facts.samples = size();
  facts.sample = x_shape_;
  if (targets_) facts.target_shape = y_shape_;
  return facts;
}

void Hdf5Dataset::place_in_memory(const DatasetOptions& options) {
  const int64_t budget = budget_ = options.memory_budget;
  const MachineMemory* const machine = options.machine;
  x_.keep_places(options.places, machine);
  const int64_t row_bytes = static_cast<int64_t>(x_.row_bytes());
  // Division cannot overflow: a malicious header may claim more bytes than 64 bits can count.
  const int64_t y_bytes = targets_ ? targets_->bytes() : 0;
  const bool all_fits = y_bytes <= budget && x_.rows() <= (budget - y_bytes) / row_bytes;
  if (all_fits) {
    x_.load(machine);
    if (targets_) targets_->load(machine);
    return;
  }
  const bool y_fits = y_bytes <= budget / 4;
  if (targets_) {
    if (y_fits)
      targets_->load(machine);
    else
      targets_->stream(budget / 4, machine, options.readers);
  }
  x_.stream(budget - (y_fits ? y_bytes : budget / 4), machine, options.readers);
}

ReadingOrder Hdf5Dataset::in_rows(const ReadingOrder& order, bool last) const {
  ReadingOrder rows = order;
  const int64_t offset = last ? windows_->length() - 1 : 0;
  rows.run = last ? 1 : windows_->length();
  rows.sample = [this, sample = order.sample, offset](int64_t step, int64_t slot) {
    const int64_t window = sample(step, slot);
    return window < 0 ? -1 : windows_->first_row(window) + offset;
  };
  return rows;
}

std::unique_ptr<Expectation> Hdf5Dataset::expect(const ReadingOrder& order) const {
  /// Samples and targets are cached apart, and read together.
  struct Both final : Expectation {
    std::unique_ptr<Expectation> x, y;
    void has_read(int64_t steps) override {
      if (x) x->has_read(steps);
      if (y) y->has_read(steps);
    }
    bool read_ahead() override { return (x && x->read_ahead()) || (y && y->read_ahead()); }
  };
  auto both = std::make_unique<Both>();
  both->x = x_.expect(windows_ ? in_rows(order, /*last=*/false) : order);
  const bool per_sample = !windows_ || target_rows_ == TargetRows::one_per_window;
  if (targets_)
    both->y =
        targets_->column().expect(per_sample ? order : in_rows(order, target_rows_ == TargetRows::last));
  if (!both->x && !both->y) return nullptr;
  return both;
}

uint64_t Hdf5Dataset::fingerprint() const {
  std::string identity = fmt::format("{} {} {} {} {} {} {}", x_.name(), to_string(x_shape().batched(size())),
                                     to_string(x_dtype()), targets_ ? targets_->column().name() : "",
                                     static_cast<int>(target_kind()), to_string(y_shape()), classes_seen());
  if (windows_) identity += fmt::format(" windows every {}", windows_->stride());
  for (const std::string& name : class_names()) identity += "\n" + name;
  return fingerprint_of(*this, identity);
}

std::string Hdf5Dataset::describe() const {
  // In floating point, which a hostile header does not overflow.
  const double samples = static_cast<double>(x_.rows()) * static_cast<double>(x_.row_bytes());
  return fmt::format(
      "{}, {}", describe_stored(),
      place_in_words(x_, samples + static_cast<double>(targets_ ? targets_->bytes() : 0), budget_));
}

}  // namespace

std::unique_ptr<Dataset> open_samples(const DataSource& source, const SourceLayout& layout,
                                      const DatasetOptions& options) {
  return std::make_unique<Hdf5Dataset>(source, layout, options);
}

}  // namespace lockstep
