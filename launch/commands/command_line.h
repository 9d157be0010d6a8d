#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/core/text/suggest.h"

// CLI11 parses the command line. Its header is slow to compile, so only command_line.cpp and mistakes.cpp
// include it.
namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace lockstep {

class Program;

/// Returns what is wrong with a value; "" if it is valid.
using ValueCheck = std::function<std::string(const std::string& value)>;

/// Accepts one of these names; otherwise the message suggests the name that was probably meant.
ValueCheck one_of_names(std::vector<std::string> names, Synonyms synonyms = {});
/// Accepts an integer within these bounds.
ValueCheck whole_number(int64_t min, int64_t max);

/// An option or a positional argument of a command, returned by the functions of Command.
class Argument {
 public:
  explicit Argument(CLI::Option* option) : option_(option) {}

  /// The placeholder of the value in help: "N", "DIR", ...; "" for none.
  Argument type(const std::string& name) const;
  Argument required() const;
  Argument check(ValueCheck check) const;

 private:
  CLI::Option* option_;
};

/// A subcommand: its arguments, its subcommands and its action. A handle that is cheap to copy.
class Command {
 public:
  explicit Command(CLI::App* app) : app_(app) {}

  Command add_command(const std::string& name, const std::string& help);
  /// Adds a command that requires one of its subcommands.
  Command add_group(const std::string& name, const std::string& help);

  /// Adds an argument with this name: "--name" or "-n" for an option, "NAME" for a positional argument.
  /// `value` must outlive the command's run; its initial value is the default.
  Argument add(const std::string& name, std::string& value, const std::string& help);
  Argument add(const std::string& name, int& value, const std::string& help);
  Argument add(const std::string& name, int64_t& value, const std::string& help);
  Argument add(const std::string& name, uint64_t& value, const std::string& help);
  Argument add(const std::string& name, double& value, const std::string& help);
  /// An option may be repeated, each time with one value; a positional argument takes all remaining words.
  Argument add(const std::string& name, std::vector<std::string>& values, const std::string& help);
  /// The values are separated by commas: "1,2,4".
  Argument add(const std::string& name, std::vector<int64_t>& values, const std::string& help);
  /// A number of bytes: 8, 64K, 1M or 1GiB.
  Argument add_size(const std::string& name, uint64_t& bytes, const std::string& help);
  /// An option without a value.
  void add_flag(const std::string& name, bool& value, const std::string& help);

  // Options shared by several commands.
  void add_device(std::string& device, const std::string& help = "auto, cpu or cuda");  ///< --device
  void add_set(std::vector<std::string>& sets);                                         ///< --set KEY=VALUE

  /// Text below the options in the help.
  void footer(const std::string& text);

  /// Sets a function that is called if the command line names this command, once all its values are set.
  void when_chosen(std::function<void()> act);
  /// Makes `run`, which returns the exit code, the program's action if the command line names this command.
  void action(Program& program, std::function<int()> run);

 private:
  CLI::App* app_;
};

/// Parses the whole command line, including "lockstep".
class CommandLineParser {
 public:
  explicit CommandLineParser(const std::string& description);
  ~CommandLineParser();
  CommandLineParser(const CommandLineParser&) = delete;
  CommandLineParser& operator=(const CommandLineParser&) = delete;

  /// "lockstep" itself, to which commands are added.
  Command root();
  /// `lockstep help [COMMAND ...]`. Add it last.
  void add_help_command(Program& program);

  /// Sets the values and calls the commands' when_chosen(). Returns an exit code if nothing remains to be
  /// done, as after --help. Throws Error(usage) with what is wrong and what was probably meant.
  std::optional<int> parse(std::vector<std::string> words, const Program& program);

 private:
  std::unique_ptr<CLI::App> app_;
};

/// Parses the arguments that `add` adds to the command of this name, without running it. Returns false if the
/// words request help. Throws Error(usage).
bool parse_arguments(const std::string& command, std::vector<std::string> words,
                     const std::function<void(Command)>& add);

}  // namespace lockstep
