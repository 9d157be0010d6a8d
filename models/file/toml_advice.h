#pragma once

#include <string>

namespace lockstep {

/// Advice on a TOML text that the parser rejected in line `number` (from 1), to append to its message: ".
/// Text goes in quotes: name = \"a\"". "" if there is none.
std::string toml_advice(const std::string& text, size_t number);

/// Advice on a text that is not a TOML value: ". Write 0.5 for .5"; "" if there is none.
std::string likely_meant(const std::string& text);

}  // namespace lockstep
