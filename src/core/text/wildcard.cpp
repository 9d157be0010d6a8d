#include "src/core/text/wildcard.h"

namespace lockstep {

bool matches(std::string_view pattern, std::string_view text) {
  // Where the last * stood, and from where in the text it was last tried.
  size_t p = 0, t = 0, star = std::string_view::npos, tried = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      tried = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++tried;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool matches_name_or_block(std::string_view pattern, std::string_view name) {
  while (!matches(pattern, name)) {
    const size_t dot = name.rfind('.');
    if (dot == std::string_view::npos) return false;
    name = name.substr(0, dot);
  }
  return true;
}

}  // namespace lockstep
