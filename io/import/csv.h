#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lockstep {

struct CsvRow {
  int64_t line = 0;  ///< on which it begins, from 1
  std::vector<std::string> fields;
};

/// The rows of a text of comma-separated values (RFC 4180), without empty lines. Fields are trimmed; those in
/// quotes are kept as they are, may contain separators and line ends, and write a quote as two. If the first
/// line has no comma, tabs or else semicolons separate. A byte order mark is passed over. where: the file,
/// for errors. Throws Error(data) for a quote that is not closed, or that other text follows.
std::vector<CsvRow> parse_csv(const std::string& text, const std::string& where);

}  // namespace lockstep
