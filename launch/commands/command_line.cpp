#include "launch/commands/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>

#include "launch/commands/mistakes.h"
#include "launch/commands/program.h"
#include "launch/config/device_names.h"
#include "launch/config/familiar_values.h"
#include "launch/report/report.h"
#include "src/core/error.h"

namespace lockstep {

namespace {

constexpr size_t kTextColumn = 26;  // column of the descriptions

/// CLI11's layout with less noise: no ranges, no TEXT after a name, and wrapped descriptions.
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_option(const CLI::Option* option, bool positional) const override {
    return row(make_option_name(option, positional) + make_option_opts(option), make_option_desc(option));
  }
  std::string make_option_opts(const CLI::Option* option) const override {
    const std::string full = option->get_type_name(), type = full.substr(0, full.find(':'));
    std::string text;
    if (option->get_type_size() != 0 && !type.empty() && type != "TEXT") text += " " + type;
    return option->get_required() ? text + " (required)" : text;
  }
  std::string make_subcommand(const CLI::App* command) const override {
    return row(command->get_name(), command->get_description());
  }

 private:
  static std::string row(const std::string& name, const std::string& text) {
    std::string lines = wrapped(text, kTextColumn);
    const std::string head = "  " + name;
    if (head.size() + 1 > kTextColumn) return head + "\n" + lines;
    return lines.replace(0, head.size(), head);
  }
};

template <typename T>
Argument add_to(CLI::App* app, const std::string& name, T& value, const std::string& help) {
  return Argument(app->add_option(name, value, help));
}

std::string help_text(const CLI::App& root, const CLI::App& command) {
  const std::string path = path_of(command);
  return root.get_formatter()->make_help(&command, path.empty() ? "lockstep" : "lockstep " + path,
                                         CLI::AppFormatMode::Normal);
}

/// CLI11 expects the words in reverse order.
std::vector<std::string> reversed(std::vector<std::string> words) {
  std::ranges::reverse(words);
  return words;
}

}  // namespace

ValueCheck whole_number(int64_t min, int64_t max) {
  return [min, max](const std::string& text) {
    int64_t value = 0;
    const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (status == std::errc{} && end == text.data() + text.size() && value >= min && value <= max)
      return std::string();
    // A limit that is out of reach is not mentioned.
    const bool far = max >= int64_t{1} << 20;
    return fmt::format("expects an integer {} {}{}, found '{}'", far ? "of at least" : "from", min,
                       far ? "" : fmt::format(" to {}", max), text);
  };
}

ValueCheck one_of_names(std::vector<std::string> names, Synonyms synonyms) {
  return [names = std::move(names), synonyms](const std::string& name) {
    if (std::ranges::find(names, name) != names.end()) return std::string();
    return fmt::format("unknown value '{}'{}", name, suggestion(name, names, synonyms));
  };
}

Argument Argument::type(const std::string& name) const {
  option_->type_name(name);
  return *this;
}

Argument Argument::required() const {
  option_->required();
  return *this;
}

Argument Argument::check(ValueCheck check) const {
  option_->check(CLI::Validator(std::move(check), ""));
  return *this;
}

Command Command::add_command(const std::string& name, const std::string& help) {
  return Command(app_->add_subcommand(name, help));
}

Command Command::add_group(const std::string& name, const std::string& help) {
  CLI::App* group = app_->add_subcommand(name, help);
  group->require_subcommand(1);
  return Command(group);
}

Argument Command::add(const std::string& name, std::string& value, const std::string& help) {
  return add_to(app_, name, value, help);
}

Argument Command::add(const std::string& name, int& value, const std::string& help) {
  return add_to(app_, name, value, help);
}

Argument Command::add(const std::string& name, int64_t& value, const std::string& help) {
  return add_to(app_, name, value, help);
}

Argument Command::add(const std::string& name, uint64_t& value, const std::string& help) {
  return add_to(app_, name, value, help);
}

Argument Command::add(const std::string& name, double& value, const std::string& help) {
  return add_to(app_, name, value, help);
}

Argument Command::add(const std::string& name, std::vector<std::string>& values, const std::string& help) {
  CLI::Option* option = app_->add_option(name, values, help);
  if (!option->get_positional()) option->allow_extra_args(false);
  return Argument(option);
}

Argument Command::add(const std::string& name, std::vector<int64_t>& values, const std::string& help) {
  return Argument(app_->add_option(name, values, help)->delimiter(',')->allow_extra_args(false));
}

Argument Command::add_size(const std::string& name, uint64_t& bytes, const std::string& help) {
  return Argument(app_->add_option(name, bytes, help)
                      ->type_name("SIZE")
                      ->transform(CLI::AsSizeValue(false).description("")));
}

void Command::add_flag(const std::string& name, bool& value, const std::string& help) {
  app_->add_flag(name, value, help);
}

void Command::add_device(std::string& device, const std::string& help) {
  add("--device", device, help).type("").check(one_of_names(device_names(), value_synonyms("run.device")));
}

void Command::add_set(std::vector<std::string>& sets) {
  add("--set", sets, "Change a config key; may be repeated").type("KEY=VALUE");
}

void Command::footer(const std::string& text) { app_->footer(text); }

void Command::when_chosen(std::function<void()> act) { app_->callback(std::move(act)); }

void Command::action(Program& program, std::function<int()> run) {
  when_chosen([&program, run = std::move(run)] { program.action = run; });
}

CommandLineParser::CommandLineParser(const std::string& description)
    : app_(std::make_unique<CLI::App>(description, "lockstep")) {
  app_->formatter(std::make_shared<HelpFormatter>());
  app_->require_subcommand(1);
  app_->set_version_flag("-V,--version", "lockstep " LOCKSTEP_VERSION, "Print the version and exit");
}

CommandLineParser::~CommandLineParser() = default;

Command CommandLineParser::root() { return Command(app_.get()); }

void CommandLineParser::add_help_command(Program& program) {
  Command command = root().add_command("help", "Show the help of a command");
  auto words = std::make_shared<std::vector<std::string>>();
  command.add("COMMAND", *words, "For example: data check");
  command.action(program, [this, words] {
    const CLI::App* shown = app_.get();
    for (const std::string& word : *words) {
      const auto commands = commands_of(*shown);
      const auto found = std::ranges::find(commands, word, &CLI::App::get_name);
      if (found == commands.end()) fail(ExitCode::usage, "{}", unknown_command(*app_, *shown, word));
      shown = *found;
    }
    write_lines(stdout, help_text(*app_, *shown));
    return 0;
  });
}

std::optional<int> CommandLineParser::parse(std::vector<std::string> words, const Program& program) {
  try {
    app_->parse(reversed(std::move(words)));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app_->exit(error);
    if (!lacks_only_a_command(*app_, error)) fail(ExitCode::usage, "{}", mistake_in_words(*app_, error));
    // The help lists the commands.
    if (program.environment().rank_hint == 0) write_lines(stderr, app_->help());
    return static_cast<int>(ExitCode::usage);
  }
  return std::nullopt;
}

bool parse_arguments(const std::string& command, std::vector<std::string> words,
                     const std::function<void(Command)>& add) {
  CLI::App app;
  add(Command(&app));
  try {
    app.parse(reversed(std::move(words)));
  } catch (const CLI::CallForHelp&) {
    return false;
  } catch (const CLI::ParseError& error) {
    fail(ExitCode::usage, "{}. See lockstep {} --help.", error.what(), command);
  }
  return true;
}

}  // namespace lockstep
