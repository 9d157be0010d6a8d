#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <system_error>

#include "io/import/csv.h"
#include "io/import/image_list.h"
#include "io/import/read_text.h"
#include "src/core/error.h"
#include "src/core/text/printable.h"

namespace lockstep {

namespace {

namespace fs = std::filesystem;

template <typename T>
std::optional<T> number_in(const std::string& text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// The file that a table means, below the folder: with the ending that it may lack. "" if there is none.
std::string find_file(const fs::path& folder, const std::string& name) {
  constexpr std::array kEndings{"", ".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG"};
  std::error_code ignored;
  for (const char* ending : kEndings)
    if (fs::is_regular_file(folder / (name + ending), ignored)) return name + ending;
  return "";
}

/// Whether a row is a heading: neither a file nor, if there are to be numbers, numbers.
bool is_heading(const CsvRow& row, const std::string& file, bool are_values) {
  if (!file.empty() || is_named_as_image(row.fields[0])) return false;
  return !are_values || row.fields.size() < 2 || !number_in<float>(row.fields[1]);
}

void require_columns(const CsvRow& row, size_t expected, const std::string& table, bool are_values) {
  if (row.fields.size() == expected) return;
  if (are_values)
    fail(ExitCode::data, "{}: line {} has {} columns, and those before have {}.", table, row.line,
         row.fields.size(), expected);
  fail(ExitCode::data, "{}: line {} has {} columns; there must be two, a file and its class.{}", table,
       row.line, row.fields.size(), row.fields.size() > 2 ? " For numbers to predict, add --values." : "");
}

void add_values(ImageList& list, const CsvRow& row, const std::string& table) {
  for (size_t i = 1; i < row.fields.size(); ++i) {
    const std::optional<float> value = number_in<float>(row.fields[i]);
    if (!value || !std::isfinite(*value))
      fail(ExitCode::data, "{}: line {}: '{}' is not a number.", table, row.line, printable(row.fields[i]));
    list.values.push_back(*value);
  }
}

/// Numbers the classes: by their values if all are whole numbers from 0 on, else by their names.
void add_classes(ImageList& list, const std::vector<std::string>& labels) {
  const auto is_number = [](const std::string& label) {
    const std::optional<int32_t> number = number_in<int32_t>(label);
    return number && *number >= 0 && std::to_string(*number) == label;
  };
  const bool are_numbers = std::ranges::all_of(labels, is_number);
  list.targets = are_numbers ? ImageList::Targets::numbers : ImageList::Targets::names;
  list.classes = labels;
  std::ranges::sort(list.classes, [&](const std::string& a, const std::string& b) {
    return are_numbers ? *number_in<int32_t>(a) < *number_in<int32_t>(b) : a < b;
  });
  list.classes.erase(std::unique(list.classes.begin(), list.classes.end()), list.classes.end());
  std::map<std::string, int32_t> numbers;
  for (const std::string& name : list.classes) numbers.emplace(name, static_cast<int32_t>(numbers.size()));
  for (const std::string& label : labels) list.class_of.push_back(numbers.at(label));
}

}  // namespace

ImageList list_labelled(const std::string& folder, const std::string& table, bool are_values) {
  if (std::error_code error; !fs::is_directory(folder, error))
    fail(ExitCode::data, "{} is not a folder. Name the one that holds the images.", folder);
  ImageList list;
  list.folder = folder;
  std::vector<std::string> labels;
  std::map<std::string, int64_t> lines;
  size_t columns = 2;
  const std::vector<CsvRow> rows = parse_csv(read_text(table), table);
  for (const CsvRow& row : rows) {
    const std::string& name = row.fields[0];
    if (name.empty()) fail(ExitCode::data, "{}: line {} names no file.", table, row.line);
    const std::string file = find_file(folder, name);
    if (&row == &rows.front()) {
      if (are_values) columns = std::max<size_t>(2, row.fields.size());
      if (is_heading(row, file, are_values)) continue;
    }
    require_columns(row, columns, table, are_values);
    const std::string& label = row.fields[1];
    if (label.empty())
      fail(ExitCode::data, "{}: line {}: {} has no class.", table, row.line, printable(name));
    if (file.empty()) {
      list.unusable.push_back({name, fmt::format("there is no such file ({}, line {})", table, row.line)});
      continue;
    }
    if (const auto [known, is_new] = lines.emplace(file, row.line); !is_new)
      fail(ExitCode::data, "{}: lines {} and {} both name {}.", table, known->second, row.line,
           printable(file));
    list.files.push_back(file);
    if (are_values)
      add_values(list, row, table);
    else
      labels.push_back(label);
  }
  if (list.files.empty())
    fail(ExitCode::data, "{}: it names no file in {}. Its first column must hold names of files there.",
         table, folder);
  if (are_values) {
    list.targets = ImageList::Targets::values;
    list.values_each = static_cast<int64_t>(columns) - 1;
  } else {
    add_classes(list, labels);
  }
  return list;
}

}  // namespace lockstep
