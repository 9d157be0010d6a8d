#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "launch/commands/program.h"
#include "src/core/suggest.h"

namespace lockstep {

/// How help looks, for this command and those that are added to it: lines of at most 80 columns that end
/// between words.
void configure_help(CLI::App& app);

/// `lockstep help [COMMAND ...]`. Add it last.
void add_help_command(CLI::App& app, Program& program);

/// The command that a command line reached: the innermost one that it names.
const CLI::App& reached_command(const CLI::App& app);

/// Whether all that is missing is the name of a command: its help is the answer then.
bool lacks_only_a_command(const CLI::App& app, const CLI::ParseError& error);

/// What is wrong with a command line and what was probably meant, as one line.
std::string mistake_in_words(const CLI::App& app, const CLI::ParseError& error);

/// Checks that a value is one of these names; refuses another with the one that is meant.
CLI::Validator one_of_names(std::vector<std::string> names, Synonyms synonyms = {});

/// Checks that a value is an integer within these bounds.
CLI::Validator whole_number(int64_t least, int64_t most);

/// --device auto|cpu|cuda
void add_device_option(CLI::App& command, std::string& device, const std::string& help = "auto, cpu or cuda");

}  // namespace lockstep
