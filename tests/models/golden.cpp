#include "tests/models/golden.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <span>
#include <sstream>
#include <system_error>

#include "io/hdf5/hdf5.h"
#include "src/core/error.h"

namespace lockstep {

namespace {

namespace fs = std::filesystem;

const fs::path kFolder = fs::path(LOCKSTEP_SOURCE_DIR) / "tests" / "golden";
constexpr const char* kNames = "names.h5";

template <typename T>
std::vector<T> read_all(const hdf5::Dataset& dataset) {
  std::vector<T> values(static_cast<size_t>(dataset.elements()));
  dataset.read(dtype_of<T>(), values.data());
  return values;
}

/// Calls put(name, shape, values) for each tensor of an index and its values.
template <typename T, typename Put>
void read_tensors(const hdf5::File& file, const std::string& prefix, const Put& put) {
  const std::vector<uint8_t> text = read_all<uint8_t>(file.dataset(prefix + "index"));
  const std::vector<T> values = read_all<T>(file.dataset(prefix + "values"));
  std::istringstream lines(std::string(text.begin(), text.end()));
  auto next = values.begin();
  for (std::string line; std::getline(lines, line);) {
    // The extents are the numbers at the end.
    std::vector<int64_t> extents;
    std::istringstream words(line);
    std::string name;
    const bool has_two_words = !line.starts_with("x ") && !line.starts_with("y ");
    words >> name;
    if (std::string second; has_two_words && words >> second) name += " " + second;
    for (int64_t extent = 0; words >> extent;) extents.push_back(extent);
    const Shape shape{std::span<const int64_t>(extents)};
    INVARIANT(values.end() - next >= shape.elements(), "{}: {} ends within {}", file.path(), prefix, name);
    put(name, shape, std::vector<T>(next, next + shape.elements()));
    next += shape.elements();
  }
  INVARIANT(next == values.end(), "{}: {} has values without names", file.path(), prefix);
}

Golden read_case(const hdf5::File& file, const std::string& group) {
  Golden golden;
  golden.name = fs::path(file.path()).stem().string() + "." + group.substr(1);
  golden.facts = parse_json(file.string_attribute(group, "case").value_or(""));
  read_tensors<float>(file, group + "/", [&](const std::string& name, const Shape& shape, auto values) {
    golden.entries[name] = {shape, std::move(values), {}};
  });
  if (file.contains(group + "/exact_index"))
    read_tensors<double>(file, group + "/exact_", [&](const std::string& name, const Shape&, auto values) {
      golden.entries.at(name).exact = std::move(values);
    });
  return golden;
}

ModelValue model_value(const nlohmann::json& json) {
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_integer()) return json.get<int64_t>();
  if (json.is_number()) return json.get<double>();
  if (json.is_string()) return json.get<std::string>();
  return json.get<std::vector<int64_t>>();
}

}  // namespace

const Golden::Entry& Golden::at(const std::string& entry) const {
  const auto found = entries.find(entry);
  if (found == entries.end()) fail(ExitCode::data, "{} has no tensor '{}'.", name, entry);
  return found->second;
}

std::vector<std::string> Golden::names(const std::string& word) const {
  std::vector<std::string> found;
  for (const auto& [entry, unused] : entries)
    if (entry.starts_with(word + " ")) found.push_back(entry);
  return found;
}

int64_t Golden::parameters() const {
  int64_t count = 0;
  for (const std::string& gradient : names("gradient")) count += at(gradient).shape.elements();
  return count;
}

ModelSpec Golden::model(const std::string& folder) const {
  const nlohmann::json& model = facts.at("model");
  if (model.contains("text")) {
    const std::string path = folder + "/" + name + ".toml";
    std::ofstream(path) << model.at("text").get<std::string>();
    return {.name = "", .file = path};
  }
  ModelSpec spec{.name = model.at("name")};
  for (const auto& [key, value] : model.at("keys").items()) spec.keys[key] = model_value(value);
  return spec;
}

DataSignature Golden::signature() const {
  const std::string loss = facts.at("loss");
  return {.x_shape = at("x").shape.sample(),
          .x_dtype = facts.at("tokens") > 0 ? DType::i32 : DType::f32,
          .target_kind = loss == "cross_entropy"          ? TargetKind::classes
                         : loss == "binary_cross_entropy" ? TargetKind::labels
                                                          : TargetKind::values,
          .y_shape = at("y").shape.sample(),
          .outputs = facts.at("outputs")};
}

OptimizerSpec Golden::optimizer() const {
  const nlohmann::json& json = facts.at("optimizer");
  OptimizerSpec spec{.name = json.at("name"), .lr = json.at("lr")};
  spec.momentum = json.value("momentum", spec.momentum);
  spec.nesterov = json.value("nesterov", spec.nesterov);
  spec.epsilon = json.value("epsilon", spec.epsilon);
  spec.weight_decay = json.value("weight_decay", spec.weight_decay);
  spec.decay_all = true;  // as PyTorch does
  return spec;
}

std::vector<std::string> golden_files() {
  std::vector<std::string> names;
  std::error_code missing;  // the folder, where the tests run without their source
  for (const fs::directory_entry& entry : fs::directory_iterator(kFolder, missing))
    if (entry.path().extension() == ".h5" && entry.path().filename() != kNames)
      names.push_back(entry.path().stem().string());
  std::ranges::sort(names);
  return names;
}

std::vector<Golden> read_golden(const std::string& name) {
  const hdf5::File file = hdf5::File::open((kFolder / (name + ".h5")).string());
  std::vector<Golden> cases;
  for (const std::string& dataset : file.dataset_names())
    if (const std::string suffix = "/index"; dataset.ends_with(suffix))
      cases.push_back(read_case(file, dataset.substr(0, dataset.size() - suffix.size())));
  if (cases.empty()) fail(ExitCode::data, "{} has no cases.", file.path());
  return cases;
}

std::map<std::string, std::set<std::string>> torchvision_names() {
  const hdf5::File file = hdf5::File::open((kFolder / kNames).string());
  std::map<std::string, std::set<std::string>> models;
  for (const std::string& model : file.dataset_names()) {
    const std::vector<uint8_t> text = read_all<uint8_t>(file.dataset(model));
    std::istringstream lines(std::string(text.begin(), text.end()));
    for (std::string line; std::getline(lines, line);) models[model.substr(1)].insert(line);
  }
  return models;
}

}  // namespace lockstep
