#include "io/import/csv.h"

#include <algorithm>
#include <string_view>

#include "src/core/error.h"
#include "src/core/text/trimmed.h"

namespace lockstep {

namespace {

constexpr const char* kByteOrderMark = "\xEF\xBB\xBF";

char separator_of(const std::string& text) {
  const std::string_view line = std::string_view(text).substr(0, text.find('\n'));
  for (const char separator : {',', '\t', ';'})
    if (line.find(separator) != std::string_view::npos) return separator;
  return ',';
}

class CsvReader {
 public:
  CsvReader(const std::string& text, const std::string& where)
      : text_(text),
        where_(where),
        separator_(separator_of(text)),
        at_(text.starts_with(kByteOrderMark) ? std::string_view(kByteOrderMark).size() : 0) {}

  std::vector<CsvRow> rows() {
    std::vector<CsvRow> rows;
    while (at_ < text_.size()) {
      CsvRow row{line_, {}};
      do row.fields.push_back(field());
      while (take(separator_));
      if (take('\n')) ++line_;
      if (row.fields.size() > 1 || !row.fields[0].empty()) rows.push_back(std::move(row));
    }
    return rows;
  }

 private:
  bool take(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  /// Up to the separator or the end of the line.
  std::string plain() {
    const char ends[] = {separator_, '\n', '\0'};
    const size_t end = std::min(text_.find_first_of(ends, at_), text_.size());
    const std::string field = trimmed(text_.substr(at_, end - at_));
    at_ = end;
    return field;
  }

  std::string field() {
    while (take(' ')) {
    }
    const int64_t line = line_;
    if (!take('"')) return plain();
    std::string field;
    while (true) {
      if (at_ >= text_.size()) fail(ExitCode::data, "{}: line {}: a quote is not closed.", where_, line);
      const char c = text_[at_++];
      if (c == '"' && !take('"')) break;
      if (c == '\n') ++line_;
      field += c;
    }
    if (const std::string rest = plain(); !rest.empty())
      fail(ExitCode::data, "{}: line {}: '{}' follows a closing quote. Write a quote in quotes twice.",
           where_, line, rest);
    return field;
  }

  const std::string& text_;
  const std::string& where_;
  char separator_;
  size_t at_;
  int64_t line_ = 1;
};

}  // namespace

std::vector<CsvRow> parse_csv(const std::string& text, const std::string& where) {
  return CsvReader(text, where).rows();
}

}  // namespace lockstep
