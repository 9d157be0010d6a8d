#include "models/file/layer_options.h"

#include <algorithm>
#include <charconv>

#include "src/core/error.h"
#include "src/core/text/suggest.h"
#include "src/core/text/trimmed.h"

namespace lockstep {

namespace {

OptionValue factor(const std::string& text, const BlockParameters& parameters) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc{} && end == text.data() + text.size()) return number;
  if (const auto found = parameters.find(text); found != parameters.end()) return found->second;
  std::vector<std::string> known;
  for (const auto& entry : parameters) known.push_back(entry.first);
  fail(ExitCode::usage, "'{}' is not a parameter of this block{}", text, suggestion(text, known));
}

}  // namespace

const std::vector<CommonOption>& common_layer_options() {
  static const std::vector<CommonOption> options = {
      {"kind", "text", "one of the kinds below; required"},
      {"name", "text",
       "name of the layer's output and parameters; default: the kind and a number, as in \"conv2d_1\""},
      {"input", "a name", "the layer that it reads, or \"input\" for the data; default: the previous layer"},
      {"inputs", "a list of names", "the layers that it reads, for a kind that reads several, such as add"},
      {"parameters_of", "a name", "an earlier layer whose parameters it uses instead of its own"},
      {"repeat", "an integer", "number of copies, each reading the one before, named NAME.0, NAME.1, ..."},
      {"loss_weight", "a number",
       "makes it an output besides the last layer, whose loss is added in training with this weight"},
  };
  return options;
}

const std::vector<CommonOption>& block_use_options() {
  static const std::vector<CommonOption> options = {
      {"block", "a name", "NAME of a [block.NAME] in this file, whose layers are inserted here"},
      {"name", "text", "prefix of the names of its layers, as in \"stage1.conv\""},
      {"input", "a name",
       "the layer that the block reads, called \"input\" inside it; default: the previous layer"},
      {"repeat", "an integer", "number of copies, each reading the one before, named NAME.0, NAME.1, ..."},
      {"first", "an integer", "number of the first copy; default: 0"},
  };
  return options;
}

std::vector<std::string> names_of(const std::vector<CommonOption>& options) {
  std::vector<std::string> names;
  for (const CommonOption& option : options) names.push_back(option.name);
  return names;
}

bool is_in(const std::vector<CommonOption>& options, std::string_view key) {
  return std::ranges::find(options, key, &CommonOption::name) != options.end();
}

const char* type_name(const LayerOption& option) {
  if (std::holds_alternative<bool>(option.type)) return "true or false";
  if (std::holds_alternative<double>(option.type)) return "a number";
  if (std::holds_alternative<Extents>(option.type)) return "an integer, or a list of one for each axis";
  if (std::holds_alternative<Padding>(option.type))
    return "an integer, a list of one for each axis, or \"same\"";
  if (std::holds_alternative<Init>(option.type)) return "an initializer";
  return option.may_be_classes ? "an integer or \"classes\"" : "an integer";
}

OptionValue evaluate(const std::string& expression, const BlockParameters& parameters) {
  constexpr int64_t kMax = int64_t{1} << 40;
  size_t end = expression.find('*');
  if (end == std::string::npos) return factor(trimmed(expression), parameters);
  int64_t product = 1;
  for (size_t begin = 0;; begin = end + 1) {
    end = expression.find('*', begin);
    const std::string part = trimmed(expression.substr(begin, end - begin));
    const OptionValue value = factor(part, parameters);
    const auto* number = std::get_if<int64_t>(&value);
    if (number == nullptr) fail(ExitCode::usage, "'{}' in \"{}\" is not an integer.", part, expression);
    if (*number < 0 || (*number > 0 && product > kMax / *number))
      fail(ExitCode::usage, "\"{}\" is negative or too large.", expression);
    product *= *number;
    if (end == std::string::npos) return product;
  }
}

}  // namespace lockstep
