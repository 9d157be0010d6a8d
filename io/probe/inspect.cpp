#include "io/probe/inspect.h"

#include <filesystem>
#include <limits>

#include "io/dataset/layouts/open_rows.h"
#include "io/dataset/layouts/plain_rows.h"
#include "io/dataset/layouts/record_fields.h"
#include "io/dataset/layouts/unpacked_rows.h"
#include "io/dataset/targets/class_names.h"
#include "io/hdf5/elements/text_reader.h"
#include "io/hdf5/hdf5.h"
#include "io/hdf5/sources/family.h"
#include "io/hdf5/sources/links.h"
#include "io/hdf5/sources/sources.h"
#include "io/hdf5/walk.h"
#include "io/probe/check_dataset.h"
#include "io/probe/check_source.h"
#include "io/probe/find_sources.h"
#include "io/probe/probe.h"
#include "src/core/text/json.h"

namespace lockstep {

namespace {

int64_t bytes_of_file(const std::string& path) {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  return error ? 0 : static_cast<int64_t>(bytes);
}

/// Throws Error(data) unless training reads the data set as rows of numbers; adds what it understands of
/// them.
void look_at_rows(const hdf5::Dataset& dataset, std::vector<std::string>& notes) {
  // Few are more than numbers, and there may be very many.
  const bool is_more = is_decoded_by_row(dataset) ||
                       (dataset.type().kind != hdf5::ElementType::Kind::other && packing_of(dataset));
  if (!is_more) return require_rows_of_numbers(dataset);
  const RowLayout layout{.are_targets = dataset.name().ends_with("/y")};
  const std::vector<std::string> found = open_rows(dataset.file(), dataset.name(), layout)->facts().notes;
  notes.insert(notes.end(), found.begin(), found.end());
}

/// Says that values have names.
void look_at_names(const hdf5::File& file, const hdf5::Dataset& dataset, std::vector<std::string>& notes) {
  if (hdf5::holds_text(dataset)) {
    notes.push_back(fmt::format("{} holds text: as targets, names of classes", dataset.where()));
    return;
  }
  const std::optional<NamedValues> named = find_named_values(file, dataset.name());
  if (!named) return;
  ClassNames names;
  for (const auto& [value, name] : named->names) names.push_back(name);
  notes.push_back(fmt::format("the values of {} have names, which are classes as targets: {}",
                              dataset.where(), names_in_words(names)));
}

DatasetDescription describe(const hdf5::File& file, const hdf5::Dataset& dataset, const std::string& link) {
  DatasetDescription result;
  result.link = link;
  result.name = dataset.name();
  result.shape = dataset.extents();
  result.type = dataset.type().name;
  result.layout = dataset.layout();
  result.chunk = dataset.chunk();
  for (const hdf5::Filter& filter : dataset.filters()) result.filters.push_back(filter.name);
  result.stored_bytes = dataset.stored_bytes();
  result.value_bytes = static_cast<int64_t>(dataset.type().bytes);
  // Either walks the index of all chunks.
  result.written = result.stored_bytes > 0 || dataset.is_written();
  try {
    result.broken = true;
    result.warnings = hdf5::require_sources(dataset, /*thorough=*/true).warnings;
    result.broken = false;
    result.usable_as = usable_as(dataset);
    if (!result.usable_as.empty()) {
      require_rows(dataset);
      const FoundSource fields = is_complex(dataset.type()) ? FoundSource() : find_fields(dataset);
      result.x_fields = fields.x;
      result.y_field = fields.y;
      return result;
    }
    // Text may be the names of classes.
    if (hdf5::holds_text(dataset) && !dataset.name().ends_with("/x"))
      require_rows(dataset);
    else
      look_at_rows(dataset, result.notes);
    result.usable = true;
    look_at_names(file, dataset, result.notes);
    result.by_libhdf5 = dataset.why_by_libhdf5();
  } catch (const Error& e) {
    result.problem = e.what();
    result.usable_as.clear();
    result.unreadable = !dataset.can_be_decoded();
  }
  return result;
}

std::string in_words(const hdf5::File& file, const FoundObject& object, const DatasetDescription& first) {
  switch (object.kind) {
    case FoundObject::Kind::sparse_matrix:
      try {
        const std::unique_ptr<StoredRows> rows = open_rows(file.path(), object.name);
        return fmt::format("({}, {}) {}, {}", rows->rows(), rows->facts().shape[0], rows->facts().type.name,
                           "a sparse matrix (CSR), whose rows become dense as they are read");
      } catch (const Error& e) {
        return e.what();
      }
    case FoundObject::Kind::categories:
      return "names of classes, by number (categories)";
    case FoundObject::Kind::samples:
      break;
  }
  return fmt::format("a data set for each of {} samples, {} {}", object.parts.size(),
                     to_string(Shape(first.shape)), first.type);
}

void describe_objects(const hdf5::File& file, FileDescription& result) {
  for (const FoundObject& object : find_objects(result.datasets)) {
    const auto first = std::ranges::find(result.datasets, object.parts.front(), &DatasetDescription::name);
    note_probe_progress();
    result.objects.push_back({object.name, in_words(file, object, *first), object.parts});
  }
}

void describe_sources(const hdf5::File& file, FileDescription& result) {
  constexpr size_t kMaxLookedAt = 100;
  for (const FoundSource& found : find_sources(result.datasets)) {
    if (result.sources.size() == kMaxLookedAt) return;
    note_probe_progress();
    try {
      const RowLayout layout{.sample_axis = found.is_last_axis ? -1 : 0};
      const std::unique_ptr<StoredRows> rows = open_rows(file.path(), found.x, layout);
      const RowFacts& facts = rows->facts();
      result.sources.push_back({.x = found.x,
                                .y = found.y,
                                .group = found.group,
                                .samples = facts.rows,
                                .shape = extents_of(facts.shape),
                                .type = facts.type.name,
                                .notes = found.is_last_axis ? facts.notes : std::vector<std::string>()});
    } catch (const Error&) {
      // The data set's own description says why.
    }
  }
}

/// Calls visit with every data set; one that cannot be opened is recorded as a problem.
template <typename Visit>
void for_each_dataset(const hdf5::File& file, std::vector<std::string>& problems,
                      std::vector<std::string>& broken_links, Visit visit) {
  for (hdf5::Named& named : hdf5::list_names(file, std::numeric_limits<size_t>::max())) {
    note_probe_progress();
    if (!named.problem.empty()) {
      broken_links.push_back(std::move(named.problem));
      continue;
    }
    try {
      visit(hdf5::open_to_walk(file, named.name), named.link);
    } catch (const Error& e) {
      problems.emplace_back(e.what());
    }
  }
}

/// Data that training cannot read is a problem of the file, unless it serves another purpose, such as names
/// of classes.
void require_something_to_train_on(FileCheck& result) {
  bool is_usable = false;
  for (const DatasetCheck& dataset : result.datasets) {
    const DatasetDescription& description = dataset.description;
    is_usable =
        is_usable || (description.usable && description.type != "string") || !description.usable_as.empty();
    const bool is_named_so = description.name.ends_with("/x") || description.name.ends_with("/y");
    if (!description.usable && description.usable_as.empty() && !description.broken &&
        (is_named_so || description.unreadable))
      result.problems.push_back(description.problem);
  }
  if (is_usable || !result.problems.empty()) return;
  if (result.datasets.empty()) {
    result.problems.push_back(fmt::format("{} holds no data sets.", result.path));
    return;
  }
  const DatasetDescription& first = result.datasets[0].description;
  result.problems.push_back(
      "nothing can be trained on: " +
      (first.usable ? fmt::format("{}:{} holds text, and samples are numbers.", result.path, first.name)
                    : first.problem));
}

}  // namespace

FileDescription describe_here(const std::string& path) {
  const hdf5::File file = hdf5::File::open(path);
  FileDescription result{.path = path, .family = hdf5::describe_family(file)};
  for (const std::string& part : hdf5::files_behind(path)) result.file_bytes += bytes_of_file(part);
  for_each_dataset(file, result.problems, result.broken_links,
                   [&](const hdf5::Dataset& dataset, const std::string& link) {
                     result.datasets.push_back(describe(file, dataset, link));
                   });
  describe_objects(file, result);
  describe_sources(file, result);
  return result;
}

FileCheck check_here(const std::string& path) {
  const hdf5::File file = hdf5::File::open(path);
  FileCheck result{path, {}, {}, {}};
  CheckProgress progress;
  std::vector<std::string> ignored;
  for_each_dataset(file, ignored, ignored, [&](const hdf5::Dataset& dataset, const std::string&) {
    progress.all += bytes_of(dataset);
  });
  for_each_dataset(
      file, result.problems, result.problems, [&](const hdf5::Dataset& dataset, const std::string& link) {
        result.datasets.push_back(
            check_dataset(file, dataset, describe(file, dataset, link), progress, result.problems));
        progress.done += bytes_of(dataset);
      });
  for (const FoundObject& object : find_objects(descriptions_of(result)))
    if (object.kind == FoundObject::Kind::sparse_matrix)
      result.datasets.push_back(check_sparse_matrix(file, object.name, result.problems));
  require_something_to_train_on(result);
  check_sources(result);
  return result;
}

void to_json(nlohmann::json& json, const DatasetDescription& value) {
  json = {{"name", value.name},
          {"shape", value.shape},
          {"type", value.type},
          {"link", value.link},
          {"layout", value.layout},
          {"chunk", value.chunk},
          {"by_libhdf5", value.by_libhdf5},
          {"filters", value.filters},
          {"stored_bytes", value.stored_bytes},
          {"value_bytes", value.value_bytes},
          {"written", value.written},
          {"usable", value.usable},
          {"usable_as", value.usable_as},
          {"x_fields", value.x_fields},
          {"y_field", value.y_field},
          {"problem", value.problem},
          {"broken", value.broken},
          {"warnings", value.warnings},
          {"notes", value.notes}};
}

static void to_json(nlohmann::json& json, const ObjectDescription& value) {
  json = {{"name", value.name}, {"what", value.what}, {"parts", value.parts}};
}

static void to_json(nlohmann::json& json, const SourceDescription& value) {
  json = {{"x", value.x},         {"y", value.y},       {"group", value.group}, {"samples", value.samples},
          {"shape", value.shape}, {"type", value.type}, {"notes", value.notes}};
}

void to_json(nlohmann::json& json, const FileDescription& value) {
  json = {{"path", value.path},         {"file_bytes", value.file_bytes},    {"family", value.family},
          {"datasets", value.datasets}, {"objects", value.objects},          {"sources", value.sources},
          {"problems", value.problems}, {"broken_links", value.broken_links}};
}

void to_json(nlohmann::json& json, const DatasetCheck& value) {
  json = {{"description", value.description},
          {"values", value.values},
          {"has_numbers", value.has_numbers},
          {"not_finite", value.not_finite},
          {"min", value.min},
          {"max", value.max},
          {"mean", value.mean}};
}

void to_json(nlohmann::json& json, const SourceCheck& value) {
  json = {{"source", value.source},
          {"data", value.data},
          {"task", value.task},
          {"first_label", value.first_label},
          {"class_targets", value.class_targets},
          {"class_names", value.class_names},
          {"notes", value.notes},
          {"findings", nlohmann::json::array()}};
  for (const Finding& finding : value.findings)
    json["findings"].push_back({{"text", finding.text}, {"key", finding.key}});
}

void to_json(nlohmann::json& json, const FileCheck& value) {
  json = {{"path", value.path},
          {"datasets", value.datasets},
          {"sources", value.sources},
          {"problems", value.problems}};
}

static void from_json(const nlohmann::json& json, DatasetDescription& value) {
  json.at("name").get_to(value.name);
  json.at("shape").get_to(value.shape);
  json.at("type").get_to(value.type);
  json.at("link").get_to(value.link);
  json.at("layout").get_to(value.layout);
  json.at("by_libhdf5").get_to(value.by_libhdf5);
  json.at("chunk").get_to(value.chunk);
  json.at("filters").get_to(value.filters);
  json.at("stored_bytes").get_to(value.stored_bytes);
  json.at("value_bytes").get_to(value.value_bytes);
  json.at("written").get_to(value.written);
  json.at("usable").get_to(value.usable);
  json.at("usable_as").get_to(value.usable_as);
  json.at("x_fields").get_to(value.x_fields);
  json.at("y_field").get_to(value.y_field);
  json.at("problem").get_to(value.problem);
  json.at("broken").get_to(value.broken);
  json.at("warnings").get_to(value.warnings);
  json.at("notes").get_to(value.notes);
}

static void from_json(const nlohmann::json& json, ObjectDescription& value) {
  json.at("name").get_to(value.name);
  json.at("what").get_to(value.what);
  json.at("parts").get_to(value.parts);
}

static void from_json(const nlohmann::json& json, SourceDescription& value) {
  json.at("x").get_to(value.x);
  json.at("y").get_to(value.y);
  json.at("group").get_to(value.group);
  json.at("samples").get_to(value.samples);
  json.at("shape").get_to(value.shape);
  json.at("type").get_to(value.type);
  json.at("notes").get_to(value.notes);
}

static void from_json(const nlohmann::json& json, DatasetCheck& value) {
  json.at("description").get_to(value.description);
  json.at("values").get_to(value.values);
  json.at("has_numbers").get_to(value.has_numbers);
  json.at("not_finite").get_to(value.not_finite);
  json.at("min").get_to(value.min);
  json.at("max").get_to(value.max);
  json.at("mean").get_to(value.mean);
}

static void from_json(const nlohmann::json& json, SourceCheck& value) {
  json.at("source").get_to(value.source);
  json.at("data").get_to(value.data);
  json.at("task").get_to(value.task);
  json.at("first_label").get_to(value.first_label);
  json.at("class_targets").get_to(value.class_targets);
  json.at("class_names").get_to(value.class_names);
  json.at("notes").get_to(value.notes);
  for (const nlohmann::json& finding : json.at("findings"))
    value.findings.push_back({finding.at("text"), finding.at("key")});
}

FileDescription describe_file(const std::string& path, double seconds) {
  const nlohmann::json answer = run_in_probe("describe", {path}, {}, seconds);
  return {path,
          answer.at("file_bytes").get<int64_t>(),
          answer.at("family").get<std::string>(),
          answer.at("datasets").get<std::vector<DatasetDescription>>(),
          answer.at("objects").get<std::vector<ObjectDescription>>(),
          answer.at("sources").get<std::vector<SourceDescription>>(),
          answer.at("problems").get<std::vector<std::string>>(),
          answer.at("broken_links").get<std::vector<std::string>>()};
}

FileCheck check_file(const std::string& path, double seconds,
                     const std::function<void(int64_t done, int64_t all)>& progress) {
  const nlohmann::json answer = run_in_probe("check", {path}, {}, seconds, progress);
  return {path, answer.at("datasets").get<std::vector<DatasetCheck>>(),
          answer.at("sources").get<std::vector<SourceCheck>>(),
          answer.at("problems").get<std::vector<std::string>>()};
}

}  // namespace lockstep
