#pragma once

#include <span>
#include <string>
#include <string_view>

namespace lockstep {

/// A name that users of other programs type, and what it is called here.
struct Synonym {
  std::string_view typed;
  std::string_view meant;        ///< a known name; "" where this program has nothing of the kind
  std::string_view advice = "";  ///< what to do then, as a sentence
};
using Synonyms = std::span<const Synonym>;

/// Whether two names differ at most in upper and lower case and in "_", "-", " " and ".": "MaxPool2D" and
/// "max_pool2d".
bool same_words(std::string_view a, std::string_view b);

/// The known name nearest to `name` by edit distance, or "" when none is near (more than a third of it
/// differs).
std::string nearest_name(std::string_view name, std::span<const std::string> known);

/// The known name that `name` probably stands for: the same words, else a synonym, else the nearest; "" when
/// there is none. A synonym counts only where what it means is known.
std::string meant_name(std::string_view name, std::span<const std::string> known, Synonyms synonyms = {});

/// The tail of an unknown-name error: ". Did you mean 'X'?" for the name that is meant, a synonym's advice,
/// else
/// ". Known: a, b, c.".
std::string suggestion(std::string_view name, std::span<const std::string> known, Synonyms synonyms = {});

}  // namespace lockstep
