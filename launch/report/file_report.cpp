#include "launch/report/file_report.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "launch/report/report.h"
#include "src/core/counted.h"
#include "src/core/text/printable.h"

namespace lockstep {

namespace {

constexpr size_t kColumns = 80;
constexpr size_t kMinAlike = 3;    ///< data sets that take one line
constexpr size_t kMaxLines = 400;  ///< of a listing for people

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// A name in pieces: what is between its numbers, and the numbers.
struct NumberedName {
  std::string text;  ///< with each number replaced by NUL, which no name contains
  std::vector<uint64_t> numbers = {};
};

NumberedName numbered(const std::string& name) {
  NumberedName result;
  for (size_t at = 0; at < name.size();) {
    if (!is_digit(name[at])) {
      result.text += name[at++];
      continue;
    }
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(name.data() + at, name.data() + name.size(), number);
    result.text += '\0';
    result.numbers.push_back(error == std::errc() ? number : UINT64_MAX);
    at = static_cast<size_t>(end - name.data());
  }
  return result;
}

std::string storage_text(const DatasetDescription& dataset) {
  std::string text = dataset.layout;
  if (!dataset.chunk.empty()) text += fmt::format(" {}", shape_text(dataset.chunk));
  if (!dataset.filters.empty()) text += fmt::format(" {}", fmt::join(dataset.filters, "+"));
  if (!dataset.by_libhdf5.empty()) text += fmt::format(", read by libhdf5: {}", dataset.by_libhdf5);
  if (!dataset.link.empty()) text += ", " + dataset.link;
  return text;
}

/// Why samples of a data set are read slowly in random order; "" if they are not.
std::string why_slow(const DatasetDescription& dataset) {
  constexpr double kManyChunks = 16, kManySamples = 1e5, kSmallChunk = 4096, kLargeChunk = 16 << 20;
  if (!dataset.usable || dataset.shape.empty() || dataset.shape[0] < 2) return "";
  if (!dataset.by_libhdf5.empty() && !dataset.filters.empty())
    return fmt::format("libhdf5 decodes it, one thread at a time ({})", dataset.by_libhdf5);
  if (dataset.chunk.empty()) return "";
  double across = 1, chunk_bytes = static_cast<double>(dataset.value_bytes);
  for (size_t axis = 0; axis < dataset.chunk.size(); ++axis) {
    chunk_bytes *= static_cast<double>(dataset.chunk[axis]);
    if (axis > 0)
      across *=
          std::ceil(static_cast<double>(dataset.shape[axis]) / static_cast<double>(dataset.chunk[axis]));
  }
  if (across >= kManyChunks)
    return fmt::format("the values of a sample lie in {} chunks", static_cast<int64_t>(across));
  const auto chunks =
      std::ceil(static_cast<double>(dataset.shape[0]) / static_cast<double>(dataset.chunk[0]));
  if (chunk_bytes < kSmallChunk && chunks * across >= kManySamples)
    return fmt::format("its {} chunks hold {} each", readable_count(static_cast<int64_t>(chunks * across)),
                       readable_bytes(static_cast<int64_t>(chunk_bytes)));
  if (!dataset.filters.empty() && chunk_bytes > kLargeChunk && dataset.chunk[0] > 1)
    return fmt::format("to read one sample, a chunk of {} has to be decoded",
                       readable_bytes(static_cast<int64_t>(chunk_bytes)));
  return "";
}

void print_sentence(const std::string& text) { print_text("{}\n", printable(text)); }

/// As a table, or if that is too wide, each data set in two lines.
void print_listing(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths(rows[0].size(), 0);
  for (const auto& row : rows)
    for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], printable(row[c]).size());
  size_t width = 2 * (widths.size() - 1);
  for (const size_t of_column : widths) width += of_column;
  if (width <= kColumns) return print_table(rows, {false, false, false, true, false});
  for (size_t i = 1; i < rows.size(); ++i) {
    print_text("{}\n", printable(rows[i][0]));
    print_text(
        "{}",
        wrapped(printable(fmt::format("{} {}, {}, {}", rows[i][1], rows[i][2], rows[i][3], rows[i][4])), 4));
  }
}

/// What training makes of data sets, and what keeps it from it. parts: of objects, whose data sets need not
/// be usable each.
void print_troubles(const AlikeDatasets& group, const std::set<std::string>& parts) {
  const auto others = [](size_t count) {
    return count > 1 ? fmt::format(" (and {} alike)", counted(count - 1, "other")) : "";
  };
  const auto usable_otherwise = [](const DatasetDescription* dataset) { return !dataset->usable_as.empty(); };
  const auto unusable = [&](const DatasetDescription* dataset) {
    const bool is_part = !dataset->broken && parts.contains(dataset->name);
    return !dataset->usable && !usable_otherwise(dataset) && !is_part;
  };
  const auto noted = [](const DatasetDescription* dataset) { return !dataset->notes.empty(); };
  const auto warned = [](const DatasetDescription* dataset) { return !dataset->warnings.empty(); };
  if (const auto found = std::ranges::find_if(group.members, usable_otherwise); found != group.members.end())
    print_sentence(fmt::format("{} is usable as {}", (*found)->name, (*found)->usable_as));
  if (const auto found = std::ranges::find_if(group.members, noted); found != group.members.end())
    for (const std::string& note : (*found)->notes)
      print_sentence(fmt::format("{}{}", note,
                                 others(static_cast<size_t>(std::ranges::count_if(group.members, noted)))));
  if (const auto found = std::ranges::find_if(group.members, unusable); found != group.members.end())
    print_sentence(fmt::format("{} cannot be trained on: {}{}", (*found)->name, (*found)->problem,
                               others(static_cast<size_t>(std::ranges::count_if(group.members, unusable)))));
  if (const auto found = std::ranges::find_if(group.members, warned); found != group.members.end())
    for (const std::string& warning : (*found)->warnings)
      print_sentence(fmt::format("warning: {}{}", warning,
                                 others(static_cast<size_t>(std::ranges::count_if(group.members, warned)))));
}

/// The name of what a config trains, validates or tests on, by the name of its group.
const char* key_of(const SourceDescription& source) {
  const std::string own = source.x.substr(0, source.x.rfind('/'));
  if (own.find("test") != std::string::npos) return "test";
  return own.find("val") != std::string::npos ? "validation" : "train";
}

/// The lines of a config that read what the file holds.
void print_sources(const FileDescription& file) {
  constexpr size_t kShown = 8;
  if (file.sources.empty()) return;
  print_text("In a config:\n  [data]\n");
  for (const SourceDescription& source :
       std::span(file.sources).first(std::min(kShown, file.sources.size()))) {
    const std::string meant =
        source.group.empty() || source.y.empty()
            ? fmt::format("{{ files = \"{}\", x = \"{}\", y = \"{}\" }}", file.path, source.x, source.y)
            : fmt::format("\"{}:{}\"", file.path, source.group);
    print_text("  # {} of {} {}{}\n", counted(source.samples, "sample"), shape_text(source.shape),
               source.type, source.y.empty() ? "; name their targets, y, or leave it empty to predict" : "");
    print_text("  {} = {}\n", key_of(source), printable(meant));
  }
  if (file.sources.size() > kShown)
    print_text("  # and {} more (--json lists all)\n", file.sources.size() - kShown);
}

}  // namespace

std::string shape_text(const std::vector<int64_t>& extents) {
  return fmt::format("({})", fmt::join(extents, ", "));
}

std::string AlikeDatasets::name() const {
  if (members.size() == 1) return first().name;
  return fmt::format("{} to {} ({} data sets)", first().name, members.back()->name,
                     readable_count(static_cast<int64_t>(members.size())));
}

std::string AlikeDatasets::shape() const {
  if (first().shape.empty()) return shape_text({});
  const auto rows = [](const DatasetDescription* dataset) { return dataset->shape[0]; };
  const auto [least, most] = std::ranges::minmax(members, {}, rows);
  if (rows(least) == rows(most)) return shape_text(first().shape);
  std::string text = fmt::format("({} to {}", rows(least), rows(most));
  for (size_t axis = 1; axis < first().shape.size(); ++axis) text += fmt::format(", {}", first().shape[axis]);
  return text + ")";
}

int64_t AlikeDatasets::stored_bytes() const {
  int64_t bytes = 0;
  for (const DatasetDescription* dataset : members) bytes += dataset->stored_bytes;
  return bytes;
}

std::vector<AlikeDatasets> group_alike(const std::vector<DatasetDescription>& datasets) {
  // By everything that a line shows, except numbers in the name and the rows.
  using Key = std::tuple<std::string, std::vector<int64_t>, std::string, std::string, bool>;
  struct Member {
    std::vector<uint64_t> numbers;
    const DatasetDescription* dataset;
  };
  std::map<Key, std::vector<Member>> found;
  for (const DatasetDescription& dataset : datasets) {
    NumberedName name = numbered(dataset.name);
    std::vector<int64_t> shape = dataset.shape;
    if (!shape.empty()) shape[0] = -1;
    DatasetDescription storage = dataset;
    if (!storage.chunk.empty()) storage.chunk[0] = -1;
    found[{name.text, std::move(shape), dataset.type, storage_text(storage), dataset.usable}].push_back(
        {std::move(name.numbers), &dataset});
  }
  std::vector<AlikeDatasets> groups;
  for (auto& [key, members] : found) {
    std::ranges::stable_sort(members, {}, &Member::numbers);
    if (members.size() < kMinAlike) {
      for (const Member& member : members) groups.push_back({{member.dataset}});
      continue;
    }
    groups.emplace_back();
    for (const Member& member : members) groups.back().members.push_back(member.dataset);
  }
  std::ranges::sort(groups, {}, [&](const AlikeDatasets& group) { return &group.first() - datasets.data(); });
  return groups;
}

std::vector<std::string> slow_layouts(const std::vector<AlikeDatasets>& groups) {
  std::vector<std::string> lines;
  for (const AlikeDatasets& group : groups)
    if (const std::string why = why_slow(group.first()); !why.empty())
      lines.push_back(fmt::format("{} is read slowly in random order: {}.", group.name(), why));
  return lines;
}

void print_file(const FileDescription& file) {
  const std::vector<AlikeDatasets> groups = group_alike(file.datasets);
  std::vector<std::vector<std::string>> rows{{"data set", "shape", "type", "stored", "storage"}};
  for (const AlikeDatasets& group : std::span(groups).first(std::min(groups.size(), kMaxLines)))
    rows.push_back({group.name(), group.shape(), group.first().type, readable_bytes(group.stored_bytes()),
                    storage_text(group.first())});
  const auto count = static_cast<int64_t>(file.datasets.size());
  print_text("{}: {}, {} data set{}\n", printable(file.path), readable_bytes(file.file_bytes),
             readable_count(count), count == 1 ? "" : "s");
  if (!file.family.empty()) print_sentence(file.family);
  print_listing(rows);
  if (groups.size() > kMaxLines)
    print_text("and {} (--json lists all)\n", counted(groups.size() - kMaxLines, "more line"));
  std::set<std::string> parts;
  for (const ObjectDescription& object : file.objects) parts.insert(object.parts.begin(), object.parts.end());
  for (const AlikeDatasets& group : std::span(groups).first(std::min(groups.size(), kMaxLines)))
    print_troubles(group, parts);
  for (const ObjectDescription& object :
       std::span(file.objects).first(std::min(file.objects.size(), kMaxLines)))
    print_sentence(fmt::format("{}: {}", object.name, object.what));
  for (const SourceDescription& source : file.sources)
    for (const std::string& note : source.notes) print_sentence(note);
  for (const std::string& broken : file.broken_links) print_sentence(broken);
  print_sources(file);
  const std::vector<std::string> slow = slow_layouts(groups);
  for (const std::string& line : slow) print_sentence(line);
  if (!slow.empty())
    print_text("To store whole samples for training:\n  lockstep data repack {} OUT.h5\n",
               printable(file.path));
}

}  // namespace lockstep
