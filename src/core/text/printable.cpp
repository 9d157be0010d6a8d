#include "src/core/text/printable.h"

#include <fmt/format.h>

#include <cstdint>

namespace lockstep {

namespace {

/// The UTF-8 character at the beginning of `text`; length 0 if it is invalid.
struct Character {
  uint32_t code = 0;
  size_t length = 0;
};

Character first_character(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(text[i])); };
  const uint32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const size_t length = lead >= 0xF0 && lead < 0xF5 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 0;
  if (lead >= 0xF5 || length == 0 || text.size() < length) return {};
  uint32_t code = lead & (0x7Fu >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3F);
  }
  constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xD800 && code < 0xE000;
  if (code < kSmallest[length] || code > 0x10FFFF || surrogate) return {};
  return {code, length};
}

bool is_harmless(uint32_t code) {
  const bool control = code < 0x20 || (code >= 0x7F && code < 0xA0);
  const bool direction = code == 0x200E || code == 0x200F || (code >= 0x2028 && code <= 0x202E) ||
                         (code >= 0x2066 && code <= 0x2069);
  return !control && !direction;
}

}  // namespace

std::string printable(std::string_view text, bool keep_lines) {
  std::string result;
  for (size_t at = 0; at < text.size();) {
    const Character character = first_character(text.substr(at));
    const size_t length = character.length == 0 ? 1 : character.length;
    const bool line = keep_lines && (character.code == '\n' || character.code == '\t');
    if (character.length > 0 && (is_harmless(character.code) || line)) {
      result += text.substr(at, length);
    } else {
      for (size_t i = 0; i < length; ++i)
        result += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[at + i]));
    }
    at += length;
  }
  return result;
}

}  // namespace lockstep
