#include "launch/config/values/data_values.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "launch/config/familiar_values.h"
#include "launch/config/values/lists.h"
#include "src/core/text/suggest.h"

namespace lockstep {

namespace {

std::string absolute_file(const GivenValue& given, const std::string& file) {
  if (file.empty()) given.reject("names no file");
  return absolute_path(file, given.folder);
}

std::vector<std::string> read_files(const GivenValue& given) {
  if (given.node.is_string()) return {read_path(given)};
  const toml::array* array = given.node.as_array();
  if (array == nullptr)
    given.reject("expects a file or an array of files, found {}", kind_in_words(given.node));
  if (array->empty()) given.reject("names no file");
  std::vector<std::string> files;
  for (const toml::node& node : *array) {
    if (!node.is_string()) given.reject("expects file names, found {}", kind_in_words(node));
    files.push_back(absolute_file(given, node.as_string()->get()));
  }
  return files;
}

std::optional<int> read_sample_axis(const GivenValue& given) {
  if (is_word(given, "last")) return -1;
  if (!given.node.is_integer())
    given.reject("expects the number of an axis, or \"last\", found {}", kind_in_words(given.node));
  const int64_t axis = read_integer(given);
  if (axis < -Shape::kMaxRank || axis >= Shape::kMaxRank)
    given.reject("must be from {} to {}, is {}", -Shape::kMaxRank, Shape::kMaxRank - 1, axis);
  return static_cast<int>(axis);
}

RowSlice read_rows(const GivenValue& given) {
  const std::string text = read_text(given);
  const std::optional<RowSlice> rows = text.empty() ? RowSlice{} : parse_row_slice(text);
  if (!rows)
    given.reject("expects \"FIRST:END\", such as \"0:50000\", \"1000:\" or \":-1000\", found '{}'", text);
  return *rows;
}

int64_t read_length(const GivenValue& given) {
  const int64_t rows = read_integer(given);
  if (rows < 0) given.reject("must be at least 0, is {}", rows);
  return rows;
}

WindowTarget read_window_target(const GivenValue& given) {
  const std::string word = read_text(given);
  if (word == "last") return WindowTarget::last;
  if (word == "all") return WindowTarget::all;
  given.reject("unknown value '{}'{}", word, suggestion(word, std::vector<std::string>{"last", "all"}));
}

/// The members of a source that say how samples lie in its data sets; false if `name` is none of them.
bool set_arrangement(DataSource& source, const std::string& name, const GivenValue& given) {
  if (name == "sample_axis")
    source.sample_axis = read_sample_axis(given);
  else if (name == "rows")
    source.rows = read_rows(given);
  else if (name == "window")
    source.window = read_length(given);
  else if (name == "stride")
    source.stride = read_length(given);
  else if (name == "window_target")
    source.window_target = read_window_target(given);
  else
    return false;
  return true;
}

}  // namespace

void set_source(DataSource& source, const std::string& split, const GivenValue& given) {
  if (given.node.is_string()) {
    const std::string text = read_text(given);
    source = {};
    if (text.empty()) return;
    source = parse_data_source(text, split);
    for (std::string& file : source.files) file = absolute_file(given, file);
    return;
  }
  const toml::table* table = given.node.as_table();
  if (table == nullptr)
    given.reject("expects \"FILE:/GROUP\" or a table {{ files, x, y }}, found {}", kind_in_words(given.node));
  if (source.files.empty()) {
    source.x = "/" + split + "/x";
    source.y = "/" + split + "/y";
  }
  for (const auto& [key, node] : *table) {
    const std::string name(key.str());
    const GivenValue member = given.member(name, node);
    if (name == "files")
      source.files = read_files(member);
    else if (name == "x")
      source.x = read_text(member);
    else if (name == "y")
      source.y = read_text(member);
    else if (!set_arrangement(source, name, member))
      reject_member(given, name,
                    {"files", "x", "y", "sample_axis", "rows", "window", "stride", "window_target"});
  }
  if (source.files.empty()) given.reject("names no files: add files = [\"FILE.h5\"]");
  if (source.x.empty()) given.reject("x names no data set");
  if (source.stride > 0 && source.window == 0)
    given.reject("has a stride without a window: set window to the number of rows of a sample");
}

void set_source(std::optional<DataSource>& source, const std::string& split, const GivenValue& given) {
  if (!source) source.emplace();
  set_source(*source, split, given);
  if (source->files.empty()) source.reset();
}

std::string toml_text(const DataSource& source) {
  if (source.files.empty()) return "";
  std::vector<std::string> files;
  for (const std::string& file : source.files) files.push_back(toml_text(file));
  std::string more;
  const auto add = [&](const char* name, const std::string& value) {
    more += fmt::format(", {} = {}", name, value);
  };
  if (source.sample_axis)
    add("sample_axis",
        *source.sample_axis == -1 ? toml_text(std::string("last")) : toml_text(int64_t{*source.sample_axis}));
  if (!source.rows.is_all()) add("rows", toml_text(to_string(source.rows)));
  if (source.window > 0) add("window", toml_text(source.window));
  if (source.stride > 0) add("stride", toml_text(source.stride));
  if (source.window_target == WindowTarget::all) add("window_target", toml_text(std::string("all")));
  return fmt::format("{{ files = [{}], x = {}, y = {}{} }}", fmt::join(files, ", "), toml_text(source.x),
                     toml_text(source.y), more);
}

std::string toml_text(const std::optional<DataSource>& source) { return source ? toml_text(*source) : ""; }

Normalize read_normalize(const GivenValue& given) {
  using Kind = Normalize::Kind;
  if (given.node.is_string() || !given.raw.empty()) {
    if (!given.node.is_table()) {
      const std::string word = read_text(given);
      if (word == "unit") return {Kind::unit, {}, {}};
      if (word == "none") return {Kind::none, {}, {}};
      if (word == "standardize") return {Kind::standardize, {}, {}};
      static const std::vector<std::string> known{"unit", "none", "standardize",
                                                  "{ mean = [...], std = [...] }"};
      given.reject("unknown value '{}'{}", word, suggestion(word, known, value_synonyms(given.key)));
    }
  }
  const toml::table* table = given.node.as_table();
  if (table == nullptr)
    given.reject("expects \"unit\", \"none\", \"standardize\" or {{ mean = [...], std = [...] }}, found {}",
                 kind_in_words(given.node));
  Normalize normalize{Kind::moments, {}, {}};
  for (const auto& [key, node] : *table) {
    const std::string name(key.str());
    if (name == "mean")
      normalize.mean = read_numbers(given.member(name, node));
    else if (name == "std")
      normalize.std = read_numbers(given.member(name, node));
    else
      reject_member(given, name, {"mean", "std"});
  }
  if (normalize.mean.empty() || normalize.mean.size() != normalize.std.size())
    given.reject(
        "mean and std must have equally many numbers, one per channel or one for all; found {} and {}",
        normalize.mean.size(), normalize.std.size());
  for (const double deviation : normalize.std) {
    if (deviation <= 0) given.reject("std must be above 0, is {}", deviation);
  }
  return normalize;
}

std::string toml_text(const Normalize& normalize) {
  switch (normalize.kind) {
    case Normalize::Kind::unit:
      return toml_text(std::string("unit"));
    case Normalize::Kind::none:
      return toml_text(std::string("none"));
    case Normalize::Kind::standardize:
      return toml_text(std::string("standardize"));
    case Normalize::Kind::moments:
      break;
  }
  return fmt::format("{{ mean = {}, std = {} }}", number_array(normalize.mean), number_array(normalize.std));
}

namespace {

/// In the order of Shuffle; the last is a flag, not a text.
const std::vector<std::string> kShuffles{"auto", "full", "window", "local", "chunk", "false"};

}  // namespace

Shuffle read_shuffle(const GivenValue& given) {
  if (const auto* flag = given.node.as_boolean()) return flag->get() ? Shuffle::automatic : Shuffle::off;
  const std::string word = read_text(given);
  const auto found = std::ranges::find(kShuffles, word);
  if (found == kShuffles.end())
    given.reject("unknown value '{}'{}", word, suggestion(word, kShuffles, value_synonyms(given.key)));
  return static_cast<Shuffle>(found - kShuffles.begin());
}

std::string toml_text(Shuffle shuffle) {
  return shuffle == Shuffle::off ? toml_text(false) : toml_text(kShuffles[static_cast<size_t>(shuffle)]);
}

std::vector<int64_t> read_buckets(const GivenValue& given) {
  const toml::array* array = given.node.as_array();
  if (array == nullptr)
    given.reject("expects a list of lengths, such as [64, 128], found {}", kind_in_words(given.node));
  std::vector<int64_t> lengths;
  for (const toml::node& node : *array) {
    const int64_t length = read_integer({node, given.key, given.where, given.folder, ""});
    if (length < 1) given.reject("has the length {}; it must be at least 1", length);
    if (!lengths.empty() && length <= lengths.back())
      given.reject("must be ascending, but {} follows {}", length, lengths.back());
    lengths.push_back(length);
  }
  return lengths;
}

std::string toml_text(const std::vector<int64_t>& lengths) {
  return fmt::format("[{}]", fmt::join(lengths, ", "));
}

std::optional<double> read_missing(const GivenValue& given) {
  if (is_word(given, "none")) return std::nullopt;
  return read_number(given);
}

std::string missing_text(const std::optional<double>& missing) {
  return missing ? toml_text(*missing) : toml_text(std::string("none"));
}

}  // namespace lockstep
