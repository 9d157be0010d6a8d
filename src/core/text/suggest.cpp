#include "src/core/text/suggest.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <vector>

namespace lockstep {

namespace {

/// The number of edits that turn one name into another; swapping adjacent characters is one edit (Damerau
/// 1964).
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before_last, last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
    before_last = last;
    last = row;
  }
  return last[b.size()];
}

/// In lower case and without word separators.
std::string words_of(std::string_view name) {
  std::string words;
  for (const unsigned char c : name)
    if (std::string_view("_- .").find(static_cast<char>(c)) == std::string_view::npos)
      words += static_cast<char>(std::tolower(c));
  return words;
}

}  // namespace

bool same_words(std::string_view a, std::string_view b) { return words_of(a) == words_of(b); }

std::string nearest_name(std::string_view name, std::span<const std::string> known) {
  std::string best;
  size_t best_distance = std::max<size_t>(name.size() / 3, 1) + 1;
  for (const std::string& candidate : known) {
    if (const size_t distance = edit_distance(name, candidate); distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

std::string meant_name(std::string_view name, std::span<const std::string> known, Synonyms synonyms) {
  for (const std::string& candidate : known)
    if (same_words(name, candidate)) return candidate;
  for (const Synonym& synonym : synonyms) {
    const auto meant = std::ranges::find(known, synonym.meant);
    if (same_words(name, synonym.typed) && meant != known.end()) return *meant;
  }
  return nearest_name(name, known);
}

std::string suggestion(std::string_view name, std::span<const std::string> known, Synonyms synonyms) {
  for (const Synonym& synonym : synonyms)
    if (!synonym.advice.empty() && same_words(name, synonym.typed))
      return fmt::format(": {}", synonym.advice);
  if (const std::string meant = meant_name(name, known, synonyms); !meant.empty())
    return fmt::format(". Did you mean '{}'?", meant);
  return fmt::format(". Known: {}.", fmt::join(known, ", "));
}

}  // namespace lockstep
