#include "launch/commands/mistakes.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "launch/config/familiar_keys.h"
#include "src/core/text/suggest.h"

namespace lockstep {

namespace {

constexpr Synonym kCommands[] = {
    {"fit", "train"},
    {"run", "train"},
    {"start", "train"},
    {"evaluate", "eval"},
    {"test", "eval"},
    {"score", "eval"},
    {"validate", "eval"},
    {"infer", "predict"},
    {"inference", "predict"},
    {"benchmark", "bench"},
    {"mpirun", "launch"},
    {"torchrun", "launch"},
    {"distributed", "launch"},
    {"sbatch", "slurm"},
    {"submit", "slurm"},
    {"diagnose", "doctor"},
    {"convert", "import"},
    {"generate", "synth"},
    {"describe", "info"},
    {"verify", "check"},
    {"resume", "", "lockstep train --resume auto, or --resume RUN, resumes a run."},
    {"version", "", "lockstep --version prints it."},
    {"config", "", "lockstep train --help-config lists every key."},
};

constexpr Synonym kOptions[] = {
    {"out", "run"},
    {"output", "run"},
    {"output_dir", "run"},
    {"output", "out"},
    {"o", "out"},
    {"o", "run"},
    {"checkpoint", "resume"},
    {"load", "resume"},
    {"restore", "resume"},
    {"continue", "resume"},
    {"gpu", "device"},
    {"cuda", "device"},
    {"device", "devices"},
    {"overwrite", "force"},
    {"f", "force"},
    {"samples", "train"},
    {"classes", "outputs"},
    {"shape", "input"},
    {"input_shape", "input"},
    {"dataset", "data"},
    {"test_data", "data"},
    {"v", "version"},
    {"config", "", "the config file needs no option: lockstep train CONFIG.toml."},
    {"c", "", "the config file needs no option: lockstep train CONFIG.toml."},
    {"gpus", "", "lockstep launch -n N -- train CONFIG.toml starts N ranks, each with a GPU."},
    {"ranks", "", "lockstep launch -n N -- train CONFIG.toml starts N ranks."},
    {"np", "", "lockstep launch -n N -- train CONFIG.toml starts N ranks."},
    {"n", "", "lockstep launch -n N -- train CONFIG.toml starts N ranks."},
    {"nproc", "", "lockstep launch -n N -- train CONFIG.toml starts N ranks."},
    {"nproc_per_node", "", "lockstep launch -n N -- train CONFIG.toml starts N ranks."},
};

std::string help_of(const CLI::App& command) {
  return fmt::format("lockstep {}{}--help", path_of(command), path_of(command).empty() ? "" : " ");
}

/// The command of this name, at any level.
const CLI::App* find_command(const CLI::App& app, const std::string& name) {
  for (const CLI::App* each : commands_of(app)) {
    if (each->get_name() == name) return each;
    if (const CLI::App* found = find_command(*each, name)) return found;
  }
  return nullptr;
}

std::string unknown_option(const CLI::App& command, const std::string& given) {
  const std::string option = given.substr(0, given.find('='));
  const std::string name = option.substr(std::min(option.find_first_not_of('-'), option.size()));
  std::vector<std::string> known;
  for (const CLI::Option* each : command.get_options())
    for (const std::string& known_name : each->get_lnames()) known.push_back(known_name);
  const std::string path = path_of(command);
  const std::string what =
      fmt::format("{}{}has no option '{}'", path, path.empty() ? "lockstep " : " ", option);
  const bool has_set = std::ranges::find(known, "set") != known.end();
  const std::string meant = meant_name(name, known, kOptions);
  const auto is_same = [&](const Synonym& synonym) {
    return same_words(name, synonym.typed) && (synonym.meant == meant || !synonym.advice.empty());
  };
  // A config key is preferred over a name with similar spelling.
  if (const std::string key = has_set ? meant_key(name) : "";
      !key.empty() && std::ranges::none_of(kOptions, is_same) && !same_words(name, meant))
    return fmt::format("{}. A config key is set with --set {}=VALUE.", what, key);
  if (has_set)
    for (const Synonym& synonym : kOptions)
      if (same_words(name, synonym.typed) && !synonym.advice.empty())
        return fmt::format("{}: {}", what, synonym.advice);
  if (!meant.empty()) return fmt::format("{}. Did you mean '--{}'?", what, meant);
  return fmt::format("{}. See {}.", what, help_of(command));
}

std::string unexpected_argument(const CLI::App& command, const std::string& word) {
  const CLI::Option* set = command.get_option_no_throw("--set");
  const auto lacks_value = [](const std::string& text) { return text.find('=') == std::string::npos; };
  if (set != nullptr && word.find('=') != std::string::npos)
    return fmt::format("unexpected argument '{0}'. A config key is set with --set {0}.", word);
  if (set != nullptr && std::ranges::any_of(set->results(), lacks_value))
    return fmt::format("unexpected argument '{}'. Write --set SECTION.KEY=VALUE, without a space.", word);
  return fmt::format("unexpected argument '{}'. See {}.", word, help_of(command));
}

/// The innermost command named by the command line.
const CLI::App& reached_command(const CLI::App& app) {
  const CLI::App* command = &app;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().front();
  return *command;
}

}  // namespace

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

std::string path_of(const CLI::App& command) {
  if (command.get_parent() == nullptr) return "";
  const std::string before = path_of(*command.get_parent());
  return before.empty() ? command.get_name() : before + " " + command.get_name();
}

std::string unknown_command(const CLI::App& app, const CLI::App& command, const std::string& name) {
  std::vector<std::string> known;
  for (const CLI::App* each : commands_of(command)) known.push_back(each->get_name());
  const std::string group = path_of(command);
  const std::string what = fmt::format("unknown command '{}{}{}'", group, group.empty() ? "" : " ", name);
  if (meant_name(name, known, kCommands).empty()) {
    // A command of another group: lockstep info -> lockstep data info.
    const auto synonym = std::ranges::find(kCommands, std::string_view(name), &Synonym::typed);
    const std::string meant(synonym == std::end(kCommands) ? std::string_view(name) : synonym->meant);
    const CLI::App* elsewhere = find_command(app, meant);
    if (elsewhere != nullptr && elsewhere != &command)
      return fmt::format("{}. Did you mean 'lockstep {}'?", what, path_of(*elsewhere));
  }
  return what + suggestion(name, known, kCommands);
}

bool lacks_only_a_command(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& command = reached_command(app);
  return dynamic_cast<const CLI::RequiredError*>(&error) != nullptr &&
         command.get_require_subcommand_min() > 0 && command.remaining().empty();
}

std::string mistake_in_words(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& command = reached_command(app);
  const std::vector<std::string> rest = command.remaining();
  const auto option = std::ranges::find_if(
      rest, [](const std::string& word) { return word.size() > 1 && word.starts_with('-') && word != "--"; });
  if (option != rest.end()) return unknown_option(command, *option);
  if (!rest.empty() && command.get_require_subcommand_min() > 0)
    return unknown_command(app, command, rest.front());
  const std::string path = path_of(command), head = path.empty() ? "" : path + ": ";
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr && !rest.empty())
    return head + unexpected_argument(command, rest.front());
  std::string what = error.what();
  // CLI11 says "--set: 1 required KEY=VALUE missing" if the value is missing.
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr && what.ends_with(" missing"))
    what = what.substr(0, what.find(':')) + " needs a value";
  // And "Could not convert: -n = two".
  const std::string prefix = "Could not convert: ";
  if (const size_t equals = what.find(" = "); what.starts_with(prefix) && equals != std::string::npos)
    what = fmt::format("{}: expects a number, found '{}'", what.substr(prefix.size(), equals - prefix.size()),
                       what.substr(equals + 3));
  if (what.ends_with('?')) return head + what;
  while (what.ends_with('.')) what.pop_back();
  return fmt::format("{}{}. See {}.", head, what, help_of(command));
}

}  // namespace lockstep
