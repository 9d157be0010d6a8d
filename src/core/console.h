#pragma once

#include <cstdio>
#include <string>
#include <string_view>

namespace lockstep {

/// Opens /dev/null for what of standard input, output and error is closed. Otherwise the next file that is
/// opened takes that number, and lines for a terminal go into it.
void keep_standard_streams();

/// Writes text to standard output or standard error. A reader that has left, or a disk that is full, ends
/// nothing: output_error() says so afterwards.
void write_text(std::FILE* stream, std::string_view text);
/// The same for text that people read: on a terminal, lines that are too long end between words.
void write_lines(std::FILE* stream, std::string_view text);
void flush_text(std::FILE* stream);

/// errno of the first text that could not be written to standard output; 0 when all were.
int output_error();

/// The columns of the terminal that a stream writes to; 0 when it writes to none.
int terminal_columns(std::FILE* stream);

/// The text with every line that is longer than `columns` cut between words; what follows is indented by two
/// more than the line. A word that is longer stays whole, so that it can be copied.
std::string wrapped_lines(std::string_view text, int columns);

}  // namespace lockstep
