#pragma once

#include <string>

namespace lockstep {

/// What to do about a TOML text that a parser refused in line `number` (from 1), as the tail of its message:
/// ". Text goes in quotes: name = \"a\"". "" when nothing comes to mind.
std::string toml_advice(const std::string& text, size_t number);

/// What was probably meant by a text that is no value of TOML: ". Write 0.5 for .5", or "" if nothing comes
/// to mind.
std::string likely_meant(const std::string& text);

}  // namespace lockstep
