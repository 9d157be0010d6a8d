#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

namespace lockstep {

/// The subcommands of a command.
std::vector<const CLI::App*> commands_of(const CLI::App& app);

/// The path of a command from the outermost one: "data synth digits"; "" for lockstep itself.
std::string path_of(const CLI::App& command);

/// Whether the only mistake is a missing subcommand, in which case the help is printed.
bool lacks_only_a_command(const CLI::App& app, const CLI::ParseError& error);

/// What is wrong with a command line and what was probably meant, as one line.
std::string mistake_in_words(const CLI::App& app, const CLI::ParseError& error);

/// The same for a name that is not one of `command`'s subcommands.
std::string unknown_command(const CLI::App& app, const CLI::App& command, const std::string& name);

}  // namespace lockstep
