#include "io/probe/find_sources.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdint>
#include <map>
#include <set>

#include "io/dataset/layouts/record_fields.h"

namespace lockstep {

namespace {

/// Something whose rows may be samples or targets.
struct Candidate {
  std::string name;
  int64_t rows = 0,
          last = 0;   ///< extents of the first and of the last axis, either of which may count samples
  double values = 1;  ///< of a row
  bool names_classes = false;
};

std::string without(const std::string& name, const std::string& end) {
  return name.ends_with(end) ? name.substr(0, name.size() - end.size()) : "";
}

std::set<std::string> names_of(const std::vector<DatasetDescription>& datasets) {
  std::set<std::string> names;
  for (const DatasetDescription& dataset : datasets) names.insert(dataset.name);
  return names;
}

bool has_digit(const std::string& text) {
  return std::ranges::any_of(text, [](unsigned char c) { return std::isdigit(c) != 0; });
}

/// Calls visit(pattern, has_digit) for a name with each of its parts in turn replaced by "*".
template <typename Visit>
void for_each_pattern(const std::string& name, Visit visit) {
  for (size_t begin = 1; begin <= name.size();) {
    const size_t end = std::min(name.find('/', begin), name.size());
    visit(name.substr(0, begin) + "*" + name.substr(end), has_digit(name.substr(begin, end - begin)));
    begin = end + 1;
  }
}

/// Data sets that hold a sample each, as patterns. All that match are alike, and each has a number in the
/// place of the *: columns of a table have names.
std::map<std::string, std::vector<const DatasetDescription*>> find_patterns(
    const std::vector<DatasetDescription>& datasets) {
  constexpr size_t kMinSamples = 3;
  std::map<std::string, std::vector<const DatasetDescription*>> found;
  std::set<std::string> unfit;
  for (const DatasetDescription& dataset : datasets)
    for_each_pattern(dataset.name, [&](const std::string& pattern, bool is_numbered) {
      std::vector<const DatasetDescription*>& members = found[pattern];
      members.push_back(&dataset);
      const DatasetDescription& first = *members.front();
      const bool is_like_first = dataset.shape == first.shape && dataset.type == first.type;
      if (!is_numbered || !is_like_first || dataset.broken || dataset.type == "string" ||
          !dataset.usable_as.empty())
        unfit.insert(pattern);
    });
  std::erase_if(found, [&](const auto& entry) {
    return entry.second.size() < kMinSamples || unfit.contains(entry.first);
  });
  return found;
}

double values_of_row(const std::vector<int64_t>& shape, size_t first_axis) {
  double values = 1;
  for (size_t axis = first_axis; axis < shape.size(); ++axis) values *= static_cast<double>(shape[axis]);
  return values;
}

/// What may be samples or targets, with objects in place of the data sets that they consist of.
std::vector<Candidate> find_candidates(const std::vector<DatasetDescription>& datasets) {
  std::map<std::string, const DatasetDescription*> by_name;
  for (const DatasetDescription& dataset : datasets) by_name[dataset.name] = &dataset;
  std::set<std::string> parts;
  std::vector<Candidate> found;
  for (const FoundObject& object : find_objects(datasets)) {
    parts.insert(object.parts.begin(), object.parts.end());
    const std::vector<int64_t>& first = by_name.at(object.parts.front())->shape;
    Candidate candidate{.name = object.name};
    switch (object.kind) {
      case FoundObject::Kind::sparse_matrix:
        candidate.rows = first.empty() ? 0 : first[0] - 1;
        candidate.values = INFINITY;
        break;
      case FoundObject::Kind::categories:
        candidate.rows = first.empty() ? 0 : first[0];
        candidate.names_classes = true;
        break;
      case FoundObject::Kind::samples:
        candidate.rows = static_cast<int64_t>(object.parts.size());
        candidate.values = values_of_row(first, 0);
        break;
    }
    found.push_back(std::move(candidate));
  }
  for (const DatasetDescription& dataset : datasets) {
    if (!dataset.usable || dataset.shape.empty() || parts.contains(dataset.name)) continue;
    // Without a look at them, rows of variable length are larger than any number.
    const bool is_large = dataset.type == "variable-length" || dataset.type == "opaque";
    found.push_back({.name = dataset.name,
                     .rows = dataset.shape[0],
                     .last = dataset.shape.back(),
                     .values = is_large ? INFINITY : values_of_row(dataset.shape, 1),
                     .names_classes = dataset.type == "string"});
  }
  return found;
}

bool is_pattern(const Candidate& candidate) { return candidate.name.find('*') != std::string::npos; }

/// Whether a name says that these are targets.
bool seems_target(std::string own) {
  std::ranges::transform(own, own.begin(), [](unsigned char c) { return std::tolower(c); });
  constexpr std::array kWords = {"label", "target", "class", "categor"};
  return own == "y" ||
         std::ranges::any_of(kWords, [&](const char* word) { return own.find(word) != std::string::npos; });
}

std::string group_of(const std::string& name) { return name.substr(0, name.rfind('/')); }

bool seems_target(const Candidate& candidate) {
  return candidate.names_classes || seems_target(candidate.name.substr(candidate.name.rfind('/') + 1));
}

/// The number of targets: (1, N) is the way of MATLAB to write N.
int64_t targets_in(const Candidate& y) { return y.rows == 1 && y.last > 1 ? y.last : y.rows; }

/// Whether the samples of x may be those of the targets y.
bool may_belong_together(const Candidate& x, const Candidate& y) {
  if (is_pattern(x) != is_pattern(y)) return false;
  if (is_pattern(x))
    return x.rows == y.rows && x.name.substr(0, x.name.find('*')) == y.name.substr(0, y.name.find('*'));
  const int64_t targets = targets_in(y);
  return x.rows == targets || x.last == targets;
}

bool counts_on_last_axis(const Candidate& x, const Candidate& y) {
  return x.rows != targets_in(y) && x.last == targets_in(y);
}

/// The samples of the targets y: of those that may be, the largest in its group, or in the file.
const Candidate* find_samples(const std::vector<Candidate>& candidates, const Candidate& y) {
  const Candidate* best = nullptr;
  const auto is_better = [&](const Candidate& x) {
    if (best == nullptr) return true;
    const bool is_beside = group_of(x.name) == group_of(y.name),
               best_is = group_of(best->name) == group_of(y.name);
    return is_beside != best_is ? is_beside : x.values > best->values;
  };
  for (const Candidate& x : candidates)
    if (&x != &y && x.values > 1 && !seems_target(x) && may_belong_together(x, y) && is_better(x)) best = &x;
  return best;
}

}  // namespace

FoundSource find_fields(const hdf5::Dataset& table) {
  std::string y, x;
  int64_t values = 0;
  for (const RecordField& field : fields_of(table)) {
    const bool is_text = field.type.name == "string";
    if (y.empty() && field.extents.empty() &&
        (is_text || (field.number && seems_target(field.name.substr(field.name.rfind('.') + 1))))) {
      y = field.name;
    } else if (field.number && field.count() > std::max<int64_t>(1, values)) {
      x = field.name;
      values = field.count();
    } else if (field.number && values <= 1) {
      x += (x.empty() ? "" : ",") + field.name;
      values = 1;
    }
  }
  if (x.empty() || y.empty()) return {};
  return {table.name() + "." + x, table.name() + "." + y, ""};
}

std::vector<FoundObject> find_objects(const std::vector<DatasetDescription>& datasets) {
  const std::set<std::string> names = names_of(datasets);
  std::vector<FoundObject> found;
  for (const std::string& name : names) {
    if (const std::string group = without(name, "/indptr");
        !group.empty() && names.contains(group + "/data") && names.contains(group + "/indices"))
      found.push_back({FoundObject::Kind::sparse_matrix, group, {name, group + "/data", group + "/indices"}});
    if (const std::string group = without(name, "/codes");
        !group.empty() && names.contains(group + "/categories"))
      found.push_back({FoundObject::Kind::categories, group, {name, group + "/categories"}});
  }
  for (const auto& [pattern, members] : find_patterns(datasets)) {
    found.push_back({FoundObject::Kind::samples, pattern, {}});
    for (const DatasetDescription* member : members) found.back().parts.push_back(member->name);
  }
  return found;
}

std::vector<FoundSource> find_sources(const std::vector<DatasetDescription>& datasets) {
  const std::vector<Candidate> candidates = find_candidates(datasets);
  const auto has = [&](const std::string& name) {
    return std::ranges::find(candidates, name, &Candidate::name) != candidates.end();
  };
  std::vector<FoundSource> found;
  std::set<std::string> known;
  for (const Candidate& x : candidates) {
    if (!x.name.ends_with("/x") || is_pattern(x)) continue;
    const std::string group = group_of(x.name), y = group + "/y";
    const auto targets = std::ranges::find(candidates, y, &Candidate::name);
    const bool is_last = targets != candidates.end() && counts_on_last_axis(x, *targets);
    found.push_back({x.name, has(y) ? y : "", group.empty() ? "/" : group, is_last});
    if (has(y)) known.insert({x.name, y});
  }
  for (const DatasetDescription& dataset : datasets)
    if (!dataset.x_fields.empty()) found.push_back({dataset.x_fields, dataset.y_field, ""});
  for (const Candidate& y : candidates) {
    if (!seems_target(y) || known.contains(y.name)) continue;
    const Candidate* x = find_samples(candidates, y);
    if (x == nullptr || known.contains(x->name)) continue;
    std::erase_if(found, [&](const FoundSource& source) { return source.x == x->name && source.y.empty(); });
    found.push_back({x->name, y.name, "", counts_on_last_axis(*x, y)});
  }
  std::ranges::sort(found, {}, &FoundSource::x);
  return found;
}

}  // namespace lockstep
