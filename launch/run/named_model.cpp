#include "launch/run/named_model.h"

#include <algorithm>
#include <utility>

#include "launch/commands/command_line.h"
#include "launch/report/model_list.h"
#include "launch/run/sample_shape.h"
#include "src/train/objective/objective.h"

namespace lockstep {

namespace {

bool is_model_file(const std::string& model) {
  return model.ends_with(".toml") || model.find('/') != std::string::npos;
}

}  // namespace

void add_sample_options(Command command, ModelArguments& arguments) {
  command.add("--input", arguments.input, "Shape of a sample; default: the model's standard data")
      .type("H,W,C");
  command.add("--outputs", arguments.outputs, "Classes or width of the target; default: as --input")
      .type("N")
      .check(whole_number(1, int64_t{1} << 32));
  command.add("--positions", arguments.positions, "Extents of the positions that each have an output")
      .type("H,W");
  command.add_set(arguments.sets);
}

Config config_of(const ModelArguments& arguments) {
  const bool file = is_model_file(arguments.model);
  if (!file) model_named(arguments.model);
  std::vector<std::string> sets{(file ? "model.file=" : "model.name=") + arguments.model};
  sets.insert(sets.end(), arguments.sets.begin(), arguments.sets.end());
  return load_config("", sets);
}

ModelUse assumed_use(const ModelArguments& arguments, const Config& config) {
  ModelUse use{{DType::f32, {28, 28, 1}}, {10}};
  if (!is_model_file(arguments.model)) use = model_named(arguments.model).standard;
  if (arguments.outputs > 0) use.output.width = arguments.outputs;
  if (!arguments.input.empty()) {
    use.input.shape = parse_sample_shape("--input", arguments.input);
    // Along the first axes, as many as in the standard data.
    std::vector<int64_t> positions = extents_of(use.input.shape);
    positions.resize(std::min(positions.size(), static_cast<size_t>(use.output.positions.rank())));
    use.output.positions = Shape(positions);
  }
  if (target_task(config) == TargetTask::tokens) {
    use.input.dtype = DType::i32;
    use.output.positions = use.input.shape;
  } else if (!arguments.positions.empty()) {
    use.output.positions = parse_sample_shape("--positions", arguments.positions);
  }
  return use;
}

DataSignature assumed_signature(const Config& config, const ModelUse& use) {
  const TargetTask task = target_task(config);
  const bool numbers = task == TargetTask::values || task == TargetTask::labels;
  return {.x_shape = use.input.shape,
          .x_dtype = use.input.dtype == DType::i32 ? DType::i32 : DType::u8,
          .target_kind = task == TargetTask::values   ? TargetKind::values
                         : task == TargetTask::labels ? TargetKind::labels
                                                      : TargetKind::classes,
          .y_shape = numbers ? Shape{use.output.width} : use.output.positions,
          .outputs = use.output.width};
}

}  // namespace lockstep
