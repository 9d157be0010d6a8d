#include "models/registry.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

#include "models/file/model_file.h"
#include "models/zoo/architectures.h"
#include "src/core/counted.h"
#include "src/core/error.h"

namespace lockstep {

const std::vector<ModelEntry>& model_registry() {
  static const std::vector<ModelEntry> registry = [] {
    std::vector<ModelEntry> all;
    for (const auto models : zoo::files()) std::ranges::move(models(), std::back_inserter(all));
    return all;
  }();
  return registry;
}

const ModelEntry* find_model(const std::string& name) {
  const auto found = std::ranges::find(model_registry(), name, &ModelEntry::name);
  return found == model_registry().end() ? nullptr : &*found;
}

std::vector<Naming> namings_of(const ModelSpec& spec) {
  const ModelEntry* const entry = spec.file.empty() ? find_model(spec.name) : nullptr;
  if (entry == nullptr || entry->namings.empty()) return {{.library = "PyTorch"}};
  return entry->namings;
}

const std::string& ModelRequest::choice(const std::string& key, const std::vector<std::string>& known) const {
  const std::string& value = text(key);
  if (std::ranges::find(known, value) == known.end())
    fail(ExitCode::usage, "unknown model.{} '{}'{}", key, value, suggestion(value, known));
  return value;
}

const std::vector<int64_t>& ModelRequest::list(const std::string& key, size_t min_count,
                                               size_t max_count) const {
  const std::vector<int64_t>& values = integers(key);
  const std::string count =
      min_count == max_count ? fmt::format("{}", min_count) : fmt::format("{} to {}", min_count, max_count);
  if (values.size() < min_count || values.size() > max_count)
    fail(ExitCode::usage, "model.{} = [{}] has {}, but must have {}.", key, fmt::join(values, ", "),
         counted(values.size(), "number"), count);
  if (!std::ranges::all_of(values, [](int64_t value) { return value >= 1; }))
    fail(ExitCode::usage, "model.{} = [{}] must be numbers from 1.", key, fmt::join(values, ", "));
  return values;
}

double ModelRequest::number_in(const std::string& key, const Range& range) const {
  const double value = number(key);
  if (!range.contains(value))
    fail(ExitCode::usage, "model.{} = {} must be {}.", key, value, to_string(range));
  return value;
}

namespace {

const char* type_name(const ModelValue& value) {
  static constexpr const char* kNames[] = {"true or false", "an integer", "a number", "a string",
                                           "a list of integers"};
  return kNames[value.index()];
}

/// The user's value with the type of the default; an integer is accepted as a number.
ModelValue converted(const std::string& model, const ModelKey& key, const ModelValue& value) {
  if (value.index() == key.standard.index()) return value;
  if (std::holds_alternative<double>(key.standard) && std::holds_alternative<int64_t>(value))
    return static_cast<double>(std::get<int64_t>(value));
  if (std::holds_alternative<std::vector<int64_t>>(key.standard) && std::holds_alternative<int64_t>(value))
    return std::vector<int64_t>{std::get<int64_t>(value)};
  fail(ExitCode::usage, "model.{} of model '{}' must be {}, not {}.", key.name, model,
       type_name(key.standard), type_name(value));
}

std::map<std::string, ModelValue> complete_keys(const ModelEntry& entry, const ModelSpec& spec) {
  std::map<std::string, ModelValue> keys;
  std::vector<std::string> known;
  for (const ModelKey& key : entry.keys) {
    known.push_back(key.name);
    const auto given = spec.keys.find(key.name);
    keys[key.name] = given == spec.keys.end() ? key.standard : converted(entry.name, key, given->second);
  }
  for (const auto& [name, value] : spec.keys)
    if (!keys.contains(name))
      fail(ExitCode::usage, "model '{}' has no key 'model.{}'{}", entry.name, name,
           suggestion(name, known, model_key_synonyms()));
  return keys;
}

}  // namespace

Value with_channels(const Value& input, const NetworkOutput& output, int axes) {
  const Shape& shape = input.shape;
  const bool is_sequence =
      axes == 2 && output.positions.rank() == 1 && shape.rank() > 0 && output.positions[0] == shape[0];
  // Token ids become vectors, whose elements are the channels.
  const bool is_tokens = axes != 2 && input.dtype == DType::i32;
  if (shape.rank() != axes || is_sequence || is_tokens) return input;
  std::vector<int64_t> extents = extents_of(shape);
  extents.push_back(1);
  return {input.dtype, Shape(extents)};
}

Graph build_model(const ModelSpec& spec, const Value& input, const NetworkOutput& output, uint64_t seed) {
  INVARIANT(output.width > 0, "a model with {} outputs", output.width);
  if (!spec.file.empty()) {
    if (!spec.keys.empty())
      fail(ExitCode::usage, "model.{} does not apply: the model comes from {}, which contains its options.",
           spec.keys.begin()->first, spec.file);
    return build_model_file(spec.file, input, output, seed);
  }
  const ModelEntry* const entry = find_model(spec.name);
  if (entry == nullptr) {
    std::vector<std::string> known;
    for (const ModelEntry& each : model_registry()) known.push_back(each.name);
    fail(ExitCode::usage, "unknown model '{}'{}", spec.name, suggestion(spec.name, known, model_synonyms()));
  }
  const Value sample = with_channels(input, output, entry->standard.input.shape.rank() - 1);
  const ModelRequest request{sample, output, complete_keys(*entry, spec), seed};
  try {
    return entry->build(request);
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("model '{}' for samples of shape {}: {}", entry->name,
                                          to_string(input.shape), error.what()));
  }
}

}  // namespace lockstep
