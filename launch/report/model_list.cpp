#include "launch/report/model_list.h"

#include <algorithm>
#include <string_view>

#include "launch/config/model_keys.h"
#include "src/core/counted.h"
#include "src/core/error.h"
#include "src/core/text/suggest.h"
#include "src/graph/parameters.h"

namespace lockstep {

namespace {

/// "samples of shape (224, 224, 3), 1000 outputs each".
std::string data_in_words(const ModelUse& use) {
  const std::string outputs = counted(use.output.width, "output");
  return fmt::format("{} of shape {}, {}", use.input.dtype == DType::i32 ? "token ids" : "samples",
                     to_string(use.input.shape),
                     use.output.positions.rank() == 0 ? outputs + " each" : outputs + " at each position");
}

}  // namespace

const ModelEntry& model_named(const std::string& name) {
  if (const ModelEntry* model = find_model(name)) return *model;
  std::vector<std::string> known;
  for (const ModelEntry& model : model_registry()) known.push_back(model.name);
  fail(ExitCode::usage, "unknown model '{}'{} The name of a model file ends in .toml.", name,
       suggestion(name, known, model_synonyms()));
}

int64_t standard_parameters(const ModelEntry& model) {
  const ModelUse& use = model.standard;
  return ParameterLayout(build_model({.name = model.name, .keys = use.keys}, use.input, use.output, 0))
      .parameter_count;
}

std::string model_table(const std::vector<ModelEntry>& models) {
  std::vector<std::string> counts{"parameters"};
  size_t name_width = std::string_view("model").size(), count_width = counts[0].size();
  for (const ModelEntry& model : models) {
    counts.push_back(readable_count(standard_parameters(model)));
    name_width = std::max(name_width, model.name.size());
    count_width = std::max(count_width, counts.back().size());
  }
  const auto row = [&](const std::string& name, const std::string& count, const std::string& description) {
    const std::string head = fmt::format("{:<{}}  {:>{}}  ", name, name_width, count, count_width);
    return wrapped(description, head.size()).replace(0, head.size(), head);
  };
  std::string table = row("model", counts[0], "description");
  for (size_t i = 0; i < models.size(); ++i)
    table += row(models[i].name, counts[i + 1], models[i].description);
  return table;
}

std::string model_help(const ModelEntry& model) {
  std::string text = fmt::format("{}\n{}", model.name, wrapped(model.description, 2));
  if (!model.paper.empty()) text += wrapped(model.paper, 2);
  text += wrapped(fmt::format("{} parameters for {}", readable_count(standard_parameters(model)),
                              data_in_words(model.standard)),
                  2);
  for (const ModelKey& key : model.keys)
    text += wrapped(fmt::format("model.{} = {}", key.name, toml_text(key.standard)), 2) +
            wrapped(key.description, 6);
  return text;
}

Json model_json(const std::vector<ModelEntry>& models) {
  Json list = Json::array();
  for (const ModelEntry& model : models) {
    Json keys = Json::array();
    for (const ModelKey& key : model.keys)
      keys.push_back(
          {{"name", key.name}, {"default", toml_text(key.standard)}, {"description", key.description}});
    const ModelUse& use = model.standard;
    list.push_back({{"name", model.name},
                    {"description", model.description},
                    {"paper", model.paper},
                    {"parameters", standard_parameters(model)},
                    {"input", extents_of(use.input.shape)},
                    {"input_type", to_string(use.input.dtype)},
                    {"outputs", use.output.width},
                    {"output_positions", extents_of(use.output.positions)},
                    {"keys", keys}});
  }
  return list;
}

}  // namespace lockstep
