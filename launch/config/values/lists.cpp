#include "launch/config/values/lists.h"

#include <fmt/ranges.h>

namespace lockstep {

std::vector<double> read_numbers(const GivenValue& given) {
  if (!given.node.is_array()) return {read_number(given)};
  std::vector<double> numbers;
  for (const toml::node& node : *given.node.as_array())
    numbers.push_back(read_number({node, given.key, given.where, given.folder, ""}));
  if (numbers.empty()) given.reject("is empty");
  return numbers;
}

std::string number_array(const std::vector<double>& numbers) {
  std::vector<std::string> texts;
  for (const double number : numbers) texts.push_back(toml_text(number));
  return fmt::format("[{}]", fmt::join(texts, ", "));
}

std::vector<std::string> read_names(const GivenValue& given) {
  const toml::array* array = given.node.as_array();
  if (array == nullptr) return {read_text(given)};
  if (array->empty()) given.reject("names nothing");
  std::vector<std::string> names;
  for (const toml::node& node : *array) {
    if (!node.is_string()) given.reject("expects a list of names, found {} in it", kind_in_words(node));
    names.push_back(node.as_string()->get());
  }
  return names;
}

std::string toml_text(const std::vector<std::string>& names) {
  if (names.size() == 1) return toml_text(names[0]);
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + toml_text(name);
  return "[" + text + "]";
}

}  // namespace lockstep
