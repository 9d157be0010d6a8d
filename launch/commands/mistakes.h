#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

namespace lockstep {

/// The commands of a command.
std::vector<const CLI::App*> commands_of(const CLI::App& app);

/// "data synth digits", from the outermost command on; "" for lockstep itself.
std::string path_of(const CLI::App& command);

/// Whether all that is missing is the name of a command: its help is the answer then.
bool lacks_only_a_command(const CLI::App& app, const CLI::ParseError& error);

/// What is wrong with a command line and what was probably meant, as one line.
std::string mistake_in_words(const CLI::App& app, const CLI::ParseError& error);

/// The same for a name that is none of `command`'s commands.
std::string unknown_command(const CLI::App& app, const CLI::App& command, const std::string& name);

}  // namespace lockstep
