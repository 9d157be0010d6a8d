#include "src/train/objective/data_signature.h"

#include <algorithm>
#include <utility>

#include "src/core/text/json.h"

namespace lockstep {

namespace {

const std::vector<std::pair<TargetKind, std::string>> kTargetKinds = {
    {TargetKind::none, "none"},
    {TargetKind::classes, "classes"},
    {TargetKind::probabilities, "probabilities"},
    {TargetKind::values, "values"},
    {TargetKind::labels, "labels"}};

}  // namespace

DataSignature signature_of(const Dataset& dataset, bool counts_classes) {
  const TargetKind kind = dataset.target_kind();
  const bool has_classes = kind == TargetKind::classes || kind == TargetKind::probabilities;
  return {
      .x_shape = dataset.x_shape(),
      .x_dtype = dataset.x_dtype(),
      .target_kind = kind,
      .y_shape = dataset.y_shape(),
      .outputs = has_classes || kind == TargetKind::none ? dataset.classes() : dataset.y_shape().elements(),
      .class_targets = counts_classes ? dataset.class_targets() : std::vector<int64_t>{},
      .class_names = dataset.class_names(),
      .mean = {},
      .std = {},
      .understood = dataset.understood()};
}

DataSignature with_length(const DataSignature& whole, int64_t length) {
  DataSignature shorter = whole;
  shorter.x_shape = {length};
  // Each position is a channel.
  if (!whole.mean.empty()) shorter.mean.resize(static_cast<size_t>(length));
  if (!whole.std.empty()) shorter.std.resize(static_cast<size_t>(length));
  if (whole.target_kind == TargetKind::classes && whole.y_shape.rank() == 1) shorter.y_shape = {length};
  return shorter;
}

std::string to_json(const DataSignature& signature) {
  const auto kind =
      std::ranges::find(kTargetKinds, signature.target_kind, &std::pair<TargetKind, std::string>::first);
  nlohmann::json json{{"x_shape", extents_of(signature.x_shape)},
                      {"x_dtype", to_string(signature.x_dtype)},
                      {"target", kind->second},
                      {"y_shape", extents_of(signature.y_shape)},
                      {"outputs", signature.outputs}};
  if (!signature.class_targets.empty()) json["class_targets"] = signature.class_targets;
  if (!signature.class_names.empty()) json["class_names"] = signature.class_names;
  if (!signature.mean.empty()) {
    json["mean"] = signature.mean;
    json["std"] = signature.std;
  }
  // Only what is unusual.
  if (signature.understood.first_label != 0) json["first_label"] = signature.understood.first_label;
  if (signature.understood.sample_axis != 0) json["sample_axis"] = signature.understood.sample_axis;
  return to_text(json);
}

DataSignature parse_signature(const std::string& text) {
  try {
    const nlohmann::json json = parse_json(text);
    const auto kind = std::ranges::find(kTargetKinds, json.at("target").get<std::string>(),
                                        &std::pair<TargetKind, std::string>::second);
    if (kind == kTargetKinds.end()) fail(ExitCode::data, "unknown kind of target in '{}'", text);
    return {.x_shape = Shape(json.at("x_shape").get<std::vector<int64_t>>()),
            .x_dtype = dtype_named(json.at("x_dtype").get<std::string>()),
            .target_kind = kind->first,
            .y_shape = Shape(json.at("y_shape").get<std::vector<int64_t>>()),
            .outputs = json.at("outputs").get<int64_t>(),
            .class_targets = json.value("class_targets", std::vector<int64_t>{}),
            .class_names = json.value("class_names", ClassNames{}),
            .mean = json.value("mean", std::vector<double>{}),
            .std = json.value("std", std::vector<double>{}),
            .understood = {.first_label = json.value("first_label", int64_t{0}),
                           .sample_axis = json.value("sample_axis", 0)}};
  } catch (const std::exception& e) {
    fail(ExitCode::data, "the checkpoint's description of its data is damaged: {}.", e.what());
  }
}

}  // namespace lockstep
