#include "io/probe/check_source.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "io/dataset/column.h"
#include "io/dataset/open_samples.h"
#include "io/dataset/source_layout.h"
#include "io/probe/find_sources.h"
#include "io/statistics/sample_pieces.h"

namespace lockstep {

namespace {

/// Samples that take more are not read a second time; nor are their targets, if these take a quarter of it.
constexpr int64_t kMaxReadTwice = int64_t{64} << 20;

/// Whether all values of a data set were read, and are finite. What is no data set by itself, such as a
/// sparse matrix, is read again as training does.
bool read_whole(const FileCheck& file, const std::string& name) {
  const auto check = std::ranges::find_if(
      file.datasets, [&](const DatasetCheck& dataset) { return dataset.description.name == name; });
  if (check == file.datasets.end()) return true;
  const std::vector<int64_t>& shape = check->description.shape;
  return check->not_finite == 0 &&
         check->values == std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

SourceCheck check_found(const FileCheck& file, const FoundSource& found, const std::string& name) {
  const DataSource source{.files = {file.path}, .x = found.x, .y = found.y};
  const DatasetOptions options{.memory_budget = kMaxReadTwice, .probe = false, .finite = false};
  const SourceLayout layout = layout_of(source, {}, options);
  if (!read_whole(file, found.x) || !read_whole(file, found.y)) {
    // The values are a problem already; a difference in length is another one.
    require_equal_lengths(Column(source.files, source.x, layout.x), Column(source.files, source.y, layout.y));
    return {};
  }
  return check_source(*open_samples(source, layout, options), name, {});
}

}  // namespace

SourceCheck check_source(const Dataset& dataset, const std::string& source, const Reading& reading) {
  SourceCheck check{.source = source,
                    .data = dataset.describe_stored(),
                    .task = "",
                    .first_label = dataset.understood().first_label,
                    .class_targets = dataset.class_targets(),
                    .class_names = dataset.class_names(),
                    .notes = dataset.notes(),
                    .findings = {}};
  const std::optional<SourceFacts> facts = dataset.facts();
  if (!facts) return check;
  if (facts->target != TargetKind::none)
    check.task = task_in_words(facts->target, facts->outputs, facts->target_shape);
  check.findings = findings_of(*facts, reading);
  if (dataset.x_shape().rank() == 0) check.findings.push_back({single_numbers(facts->x, dataset.size()), ""});
  return check;
}

void read_all_samples(const Dataset& dataset,
                      const std::function<void(int64_t done, int64_t all)>& progress) {
  const int64_t bytes = dataset.x_shape().elements() * static_cast<int64_t>(size_of(dataset.x_dtype()));
  int64_t done = 0;
  for_each_piece(dataset, {0, dataset.stored_blocks().rows()}, dataset.target_kind() != TargetKind::none,
                 [&](const SamplePiece& piece) {
                   done += static_cast<int64_t>(piece.samples.size());
                   if (progress) progress(done * bytes, dataset.size() * bytes);
                 });
}

std::vector<DatasetDescription> descriptions_of(const FileCheck& check) {
  std::vector<DatasetDescription> descriptions;
  for (const DatasetCheck& dataset : check.datasets) descriptions.push_back(dataset.description);
  return descriptions;
}

void check_sources(FileCheck& result) {
  for (const FoundSource& found : find_sources(descriptions_of(result))) {
    if (found.y.empty()) continue;
    const std::string name =
        found.group.empty() ? fmt::format("x = {}, y = {}", found.x, found.y) : found.group;
    try {
      SourceCheck check = check_found(result, found, name);
      if (!check.source.empty()) result.sources.push_back(std::move(check));
    } catch (const Error& e) {
      if (!found.group.empty())
        result.problems.emplace_back(e.what());
      else
        result.sources.push_back({.source = name, .findings = {{e.what(), ""}}});
    }
  }
}

}  // namespace lockstep
