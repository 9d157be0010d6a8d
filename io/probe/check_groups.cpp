#include "io/probe/check_groups.h"

#include <algorithm>
#include <numeric>

#include "io/dataset/source_layout.h"
#include "io/probe/findings.h"

namespace lockstep {

namespace {

/// Probabilities larger than this are not read a second time.
constexpr int64_t kMaxProbabilityBytes = int64_t{256} << 20;
constexpr int64_t kCacheBytes = int64_t{1} << 20;

bool read_whole(const DatasetCheck& check) {
  const std::vector<int64_t>& shape = check.description.shape;
  return check.not_finite == 0 &&
         check.values == std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

/// None if the values are unusable: NaN, or an unreadable chunk.
std::optional<GroupCheck> check_group(const std::string& path, const std::string& group, bool sound) {
  const DataSource source{.files = {path}, .x = group + "/x", .y = group + "/y"};
  const SourceLayout layout = layout_of(source, {});
  Column x(source.files, source.x, layout.x);
  auto y = std::make_unique<Column>(source.files, source.y, layout.y);
  require_equal_lengths(x, *y);
  if (!sound) return std::nullopt;
  Targets targets(std::move(y), {}, &x);
  x.give_out(x.natural_dtype(), nullptr);
  x.stream(kCacheBytes);
  const SourceFacts facts = facts_of(x, &targets);
  GroupCheck check{group.empty() ? "/" : group,
                   task_in_words(facts.target, facts.outputs, facts.target_shape), findings_of(facts, {})};
  if (x.row_shape().rank() == 0) check.findings.push_back({single_numbers(x.name(), x.rows()), ""});
  if (facts.target == TargetKind::probabilities && targets.bytes() <= kMaxProbabilityBytes) {
    try {
      targets.load();
    } catch (const Error& e) {
      check.task = "unclear without data.task";
      check.findings.push_back({e.what(), "data.task"});
    }
  }
  return check;
}

}  // namespace

void check_groups(FileCheck& result) {
  for (const DatasetCheck& x : result.datasets) {
    const std::string& name = x.description.name;
    if (!name.ends_with("/x") || !x.description.usable) continue;
    const std::string group = name.substr(0, name.size() - 2);
    const auto y = std::ranges::find_if(
        result.datasets, [&](const DatasetCheck& other) { return other.description.name == group + "/y"; });
    // Unusable data sets have already been reported as problems.
    if (y == result.datasets.end() || !y->description.usable) continue;
    try {
      if (auto check = check_group(result.path, group, read_whole(x) && read_whole(*y)))
        result.groups.push_back(*std::move(check));
    } catch (const Error& e) {
      result.problems.emplace_back(e.what());
    }
  }
}

}  // namespace lockstep
