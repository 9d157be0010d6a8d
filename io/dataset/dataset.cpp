#include "io/dataset/dataset.h"

#include "io/dataset/open_samples.h"
#include "io/dataset/source_files.h"
#include "io/dataset/source_layout.h"
#include "io/dataset/windows/next_tokens.h"
#include "io/hdf5/crash_report.h"
#include "io/probe/findings.h"
#include "io/probe/probe.h"
#include "src/core/log.h"

namespace lockstep {

const ClassNames& Dataset::class_names() const {
  static const ClassNames none;
  return none;
}

std::optional<SourceFacts> Dataset::facts() const { return std::nullopt; }

std::unique_ptr<Expectation> Dataset::expect(const ReadingOrder& /*order*/) const { return nullptr; }

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

void pad_like(DatasetOptions& options, const Shape& x, const Shape& y) {
  // A sequence of tokens has one more than a sample, whose targets are one position later.
  const int64_t more = options.task == TargetTask::tokens ? 1 : 0;
  // The last axis: those before it are of windows of sequences.
  options.x_length = x.rank() > 0 ? x[-1] + more : 0;
  options.y_length = y.rank() > 0 ? y[-1] : 0;
}

std::unique_ptr<Dataset> open_dataset(const DataSource& meant, const DatasetOptions& options) {
  DataSource source = meant;
  source.files = matching_files(meant.files);
  if (source.files.empty()) fail(ExitCode::usage, "a data source needs at least one file.");
  if (source.x.empty()) fail(ExitCode::usage, "a data source needs the name of its data set x.");
  if (source.window < 0 || source.stride < 0 || (source.stride > 0 && source.window == 0))
    fail(ExitCode::usage, "a stride of {} without a window: set window to the number of rows of a sample.",
         source.stride);
  if (options.probe) {
    for (const std::string& warning : probe_files(source.files, names_read(source, options.task)))
      log_warning("{}", warning);
  }
  // Explains crashes of libhdf5 in this process that the probe did not foresee.
  hdf5::report_crashes();
  if (options.task == TargetTask::tokens) {
    source.y.clear();  // not read, and it need not exist
    return open_next_tokens(source, options);
  }
  std::unique_ptr<Dataset> dataset =
      open_samples(source, layout_of(source, options.understood, options), options);
  for (const std::string& note : dataset->notes()) log_info("{}", note);
  return dataset;
}

}  // namespace lockstep
