#pragma once

#include <cstdio>
#include <string>
#include <string_view>

namespace lockstep {

/// Opens /dev/null in place of any standard stream that is closed. Otherwise the next file to be opened takes
/// its descriptor, and terminal output would be written into that file.
void keep_standard_streams();

/// Writes text to standard output or standard error. A closed pipe or a full disk is not fatal;
/// output_error() reports it afterwards.
void write_text(std::FILE* stream, std::string_view text);
/// The same for text meant for people: on a terminal, long lines are wrapped between words.
void write_lines(std::FILE* stream, std::string_view text);
void flush_text(std::FILE* stream);

/// errno of the first failed write to standard output; 0 if all succeeded.
int output_error();

/// The width of the terminal that a stream writes to; 0 if it is not a terminal.
int terminal_columns(std::FILE* stream);

/// The text with lines longer than `columns` wrapped between words; continuations are indented by two more
/// than the line. A longer word stays whole, so that it can be copied.
std::string wrapped_lines(std::string_view text, int columns);

}  // namespace lockstep
