#include "io/dataset/dataset.h"

#include "io/dataset/column.h"
#include "io/dataset/next_tokens.h"
#include "io/dataset/source_files.h"
#include "io/dataset/stored_facts.h"
#include "io/dataset/targets.h"
#include "io/hdf5/crash_report.h"
#include "io/probe/findings.h"
#include "io/probe/probe.h"
#include "src/core/log.h"

namespace lockstep {

namespace {

/// Samples in HDF5 files: x and, if there are any, targets.
class Hdf5Dataset final : public Dataset {
 public:
  Hdf5Dataset(const DataSource& source, const DatasetOptions& options) : x_(source.files, source.x) {
    x_.give_out(x_.natural_dtype(), options.finite ? Column::Check(require_finite) : nullptr);
    if (!source.y.empty()) {
      targets_ = std::make_unique<Targets>(source.files, source.y, options, &x_);
    }
    place_in_memory(options.memory_budget, options.machine);
  }

  int64_t size() const override { return x_.rows(); }
  const Shape& x_shape() const override { return x_.row_shape(); }
  DType x_dtype() const override { return x_.dtype(); }
  TargetKind target_kind() const override { return targets_ ? targets_->kind() : TargetKind::none; }
  const Shape& y_shape() const override {
    static const Shape none;
    return targets_ ? targets_->shape() : none;
  }
  int64_t classes() const override { return targets_ ? targets_->classes() : 0; }
  int64_t label(int64_t index) const override { return targets_ ? targets_->label(index) : -1; }
  std::vector<int64_t> class_targets() const override {
    return targets_ ? targets_->class_targets() : std::vector<int64_t>{};
  }

  void read(std::span<const int64_t> indices, std::byte* x, std::byte* y) const override {
    x_.read(indices, x);
    if (targets_ && y != nullptr) targets_->read(indices, y);
  }

  uint64_t fingerprint() const override;
  bool in_memory() const override { return x_.in_memory(); }
  std::string route() const override { return x_.route(); }
  std::string describe() const override;
  std::string describe_stored() const override { return stored_in_words(x_); }
  StoredBlocks stored_blocks() const override { return x_.blocks(); }
  StoredSamples stored_samples() const override { return x_.stored_samples(); }
  std::optional<SourceFacts> facts() const override { return facts_of(x_, targets_.get()); }

 private:
  /// Number of classes according to the data, regardless of DatasetOptions::classes.
  int64_t classes_seen() const {
    return target_kind() == TargetKind::classes ? static_cast<int64_t>(targets_->counts().counts().size())
                                                : classes();
  }
  void place_in_memory(int64_t budget, const MachineMemory* machine);

  Column x_;
  std::unique_ptr<Targets> targets_;
  int64_t budget_ = 0;
};

void Hdf5Dataset::place_in_memory(int64_t budget, const MachineMemory* machine) {
  budget_ = budget;
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
      targets_->stream(budget / 4);
  }
  x_.stream(budget - (y_fits ? y_bytes : budget / 4));
}

uint64_t Hdf5Dataset::fingerprint() const {
  return fingerprint_of(*this,
                        fmt::format("{} {} {} {} {} {} {}", x_.name(), to_string(x_shape().batched(size())),
                                    to_string(x_dtype()), targets_ ? targets_->column().name() : "",
                                    static_cast<int>(target_kind()), to_string(y_shape()), classes_seen()));
}

std::string Hdf5Dataset::describe() const {
  // In floating point, which a hostile header does not overflow.
  const double samples = static_cast<double>(x_.rows()) * static_cast<double>(x_.row_bytes());
  return fmt::format(
      "{}, {}", stored_in_words(x_),
      place_in_words(x_, samples + static_cast<double>(targets_ ? targets_->bytes() : 0), budget_));
}

}  // namespace

std::optional<SourceFacts> Dataset::facts() const { return std::nullopt; }

StoredBlocks Dataset::stored_blocks() const {
  StoredBlocks blocks;
  blocks.append(size(), 1);
  return blocks;
}

StoredSamples Dataset::stored_samples() const {
  const auto bytes = static_cast<double>(x_shape().elements()) * static_cast<double>(size_of(x_dtype()));
  return {.parts = {size()}, .sample_bytes = bytes};
}

std::vector<int64_t> samples_of_block(const Dataset& dataset, const StoredBlocks& blocks, int64_t block) {
  const RowRange rows = blocks.rows_of(block);
  std::vector<int64_t> samples;
  for (int64_t row = rows.first; row < rows.first + rows.count; ++row)
    if (const int64_t sample = dataset.sample_at(row); sample >= 0) samples.push_back(sample);
  return samples;
}

DataSource parse_data_source(const std::string& text, const std::string& split) {
  DataSource source;
  std::string file = text, group = "/" + split;
  if (const auto at = text.rfind(":/"); at != std::string::npos) {
    file = text.substr(0, at);
    group = text.substr(at + 1);
  }
  if (file.empty())
    fail(ExitCode::usage, "the data source '{}' names no file. Write it as FILE.h5 or FILE.h5:/GROUP.", text);
  while (!group.empty() && group.back() == '/') group.pop_back();
  source.files = {file};
  source.x = group + "/x";
  source.y = group + "/y";
  return source;
}

std::vector<std::string> names_read(const DataSource& source, TargetTask task) {
  if (source.y.empty() || task == TargetTask::tokens) return {source.x};
  return {source.x, source.y};
}

std::unique_ptr<Dataset> open_dataset(const DataSource& meant, const DatasetOptions& options) {
  DataSource source = meant;
  source.files = matching_files(meant.files);
  if (source.files.empty()) fail(ExitCode::usage, "a data source needs at least one file.");
  if (source.x.empty()) fail(ExitCode::usage, "a data source needs the name of its data set x.");
  if (options.probe) {
    for (const std::string& warning : probe_files(source.files, names_read(source, options.task)))
      log_warning("{}", warning);
  }
  // Explains crashes of libhdf5 in this process that the probe did not foresee.
  hdf5::report_crashes();
  if (options.task == TargetTask::tokens) return open_next_tokens(source, options);
  return std::make_unique<Hdf5Dataset>(source, options);
}

}  // namespace lockstep
