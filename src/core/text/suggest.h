#pragma once

#include <span>
#include <string>
#include <string_view>

namespace lockstep {

/// A name known from other programs, and its equivalent here.
struct Synonym {
  std::string_view typed;
  std::string_view meant;        ///< a known name; "" if there is no equivalent
  std::string_view advice = "";  ///< what to do instead, as a sentence
};
using Synonyms = std::span<const Synonym>;

/// Whether two names are equal apart from case and "_", "-", " " and ".": "MaxPool2D" and "max_pool2d".
bool same_words(std::string_view a, std::string_view b);

/// The known name nearest to `name` by edit distance; "" if more than a third of it differs.
std::string nearest_name(std::string_view name, std::span<const std::string> known);

/// The known name that `name` probably stands for: the same words, else a synonym, else the nearest; "" if
/// there is none. A synonym is used only if its meaning is among the known names.
std::string meant_name(std::string_view name, std::span<const std::string> known, Synonyms synonyms = {});

/// The tail of an unknown-name error: ". Did you mean 'X'?", or the advice of a synonym, else ". Known: a, b,
/// c.".
std::string suggestion(std::string_view name, std::span<const std::string> known, Synonyms synonyms = {});

}  // namespace lockstep
