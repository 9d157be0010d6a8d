#include "launch/config/values/loss_values.h"

#include <algorithm>
#include <cstdint>

#include "launch/config/values/lists.h"

namespace lockstep {

ClassWeights read_class_weights(const GivenValue& given, const std::string& none) {
  if (is_word(given, none)) return {};
  if (is_word(given, "balanced")) return {ClassWeights::Kind::balanced, {}};
  if (!given.node.is_array())
    given.reject("expects \"{}\", \"balanced\" or one number for each class, found {}", none,
                 kind_in_words(given.node));
  const ClassWeights weights{ClassWeights::Kind::given, read_numbers(given)};
  for (const double weight : weights.values)
    if (!(weight >= 0)) given.reject("a weight must be at least 0, is {}", weight);
  if (std::ranges::all_of(weights.values, [](double weight) { return weight == 0; }))
    given.reject("some weight must be above 0");
  return weights;
}

std::string toml_text(const ClassWeights& weights, const std::string& none) {
  switch (weights.kind) {
    case ClassWeights::Kind::none:
      return toml_text(none);
    case ClassWeights::Kind::balanced:
      return toml_text(std::string("balanced"));
    case ClassWeights::Kind::given:
      break;
  }
  return number_array(weights.values);
}

std::vector<double> read_positive_weights(const GivenValue& given) {
  const std::vector<double> weights = read_numbers(given);
  for (const double weight : weights)
    if (!(weight > 0)) given.reject("a weight must be above 0, is {}", weight);
  return weights == std::vector<double>{1} ? std::vector<double>{} : weights;
}

std::string positive_weights_text(const std::vector<double>& weights) {
  if (weights.size() < 2) return toml_text(weights.empty() ? 1.0 : weights[0]);
  return number_array(weights);
}

std::optional<int64_t> read_ignore_label(const GivenValue& given) {
  if (is_word(given, "none")) return std::nullopt;
  const int64_t label = read_integer(given);
  // INT32_MIN stands for no label.
  if (label <= INT32_MIN || label > INT32_MAX)
    given.reject("must be from {} to {}, is {}", INT32_MIN + 1, INT32_MAX, label);
  return label;
}

std::string ignore_label_text(const std::optional<int64_t>& label) {
  return label ? toml_text(*label) : toml_text(std::string("none"));
}

}  // namespace lockstep
