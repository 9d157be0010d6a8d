#include "io/import/npy_header.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "src/core/error.h"
#include "src/core/text/printable.h"

namespace lockstep {

namespace {

constexpr std::string_view kMagic = "\x93NUMPY";

/// Reads the few literals of Python that a header consists of.
class LiteralReader {
 public:
  LiteralReader(std::string_view text, const std::string& where) : text_(text), where_(where) {}

  [[noreturn]] void fail_at(const std::string& expected) {
    fail(ExitCode::data, "{}: its header is damaged: {} expected at '{}'.", where_, expected,
         printable(text_.substr(std::min(at_, text_.size()), 20)));
  }
  /// Whether the next character, behind white space, is this one, which is then passed.
  bool take(char c) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void need(char c) {
    if (!take(c)) fail_at(fmt::format("'{}'", c));
  }
  bool is_next(char c) {
    skip_space();
    return at_ < text_.size() && text_[at_] == c;
  }
  /// Without escapes, which no header needs.
  std::string string() {
    const char quote = is_next('"') ? '"' : '\'';
    need(quote);
    const size_t end = text_.find(quote, at_);
    if (end == std::string_view::npos) fail_at("a closing quote");
    const std::string value(text_.substr(at_, end - at_));
    at_ = end + 1;
    return value;
  }
  bool boolean() {
    skip_space();
    for (const auto& [word, value] : {std::pair<std::string_view, bool>{"True", true}, {"False", false}})
      if (text_.substr(at_).starts_with(word)) {
        at_ += word.size();
        return value;
      }
    fail_at("True or False");
  }
  int64_t number() {
    skip_space();
    const size_t begin = at_;
    int64_t value = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_)
      if (__builtin_mul_overflow(value, int64_t{10}, &value) ||
          __builtin_add_overflow(value, int64_t{text_[at_] - '0'}, &value))
        fail_at("a number of 63 bits");
    if (at_ == begin) fail_at("a number");
    take('L');  // as Python 2 wrote long integers
    return value;
  }
  std::vector<int64_t> tuple() {
    constexpr size_t kMaxAxes = 32;
    std::vector<int64_t> values;
    need('(');
    while (!take(')')) {
      if (values.size() == kMaxAxes) fail_at("at most 32 axes");
      values.push_back(number());
      if (!take(',')) {
        need(')');
        break;
      }
    }
    return values;
  }
  void need_end() {
    skip_space();
    if (at_ != text_.size()) fail_at("the end");
  }

 private:
  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }

  std::string_view text_;
  const std::string& where_;
  size_t at_ = 0;
};

[[noreturn]] void refuse(const std::string& where, const std::string& what, const std::string& remedy) {
  fail(ExitCode::data, "{}: it holds {}, which cannot be imported. {}", where, what, remedy);
}

void read_element_type(NpyHeader& header, const std::string& text, const std::string& where) {
  const std::string descr = printable(text);
  const bool has_order = !text.empty() && std::string_view("<>|=").find(text[0]) != std::string_view::npos;
  const std::string_view type = std::string_view(text).substr(has_order ? 1 : 0);
  const char kind = type.empty() ? '\0' : type[0];
  if (kind == 'O')
    refuse(where, "Python objects",
           "They would have to be executed. Save numbers instead: numpy.save(NAME, a.astype('float32')).");
  if (kind == 'U' || kind == 'S' || kind == 'a')
    refuse(where, "text", "Save the numbers of classes: numpy.unique(a, return_inverse=True)[1].");
  if (kind == 'M' || kind == 'm') refuse(where, "dates or times", "Save them as numbers: a.astype('int64').");
  if (kind == 'V') refuse(where, "records or raw bytes", "Save each field by itself.");
  const std::string_view size = type.empty() ? type : type.substr(1);
  if ((kind == 'f' && (size == "16" || size == "12")) || (kind == 'c' && (size == "32" || size == "24")))
    refuse(where, "numbers of extended precision", "Save them in double precision: a.astype('float64').");
  constexpr std::pair<char, std::string_view> kKnown[] = {
      {'b', "1"}, {'i', "1"}, {'i', "2"}, {'i', "4"}, {'i', "8"}, {'u', "1"}, {'u', "2"},
      {'u', "4"}, {'u', "8"}, {'f', "2"}, {'f', "4"}, {'f', "8"}, {'c', "8"}, {'c', "16"}};
  const bool is_known = std::ranges::count(kKnown, std::pair{kind, size}) > 0;
  if (!is_known || (!has_order && size != "1"))
    fail(ExitCode::data, "{}: its header is damaged: '{}' is no type of elements.", where, descr);
  header.kind = kind;
  header.element_bytes = size == "16" ? 16 : size[0] - '0';
  header.big_endian = text[0] == '>' && header.element_bytes > 1;
}

}  // namespace

int64_t NpyHeader::elements() const {
  int64_t count = 1;
  for (const int64_t extent : shape) count *= extent;
  return count;
}

std::string NpyHeader::text() const {
  const std::string type = kind == 'b'   ? "bool"
                           : kind == 'f' ? fmt::format("float{}", 8 * element_bytes)
                           : kind == 'c' ? fmt::format("complex{}", 8 * element_bytes)
                                         : fmt::format("{}int{}", kind == 'u' ? "u" : "", 8 * element_bytes);
  return fmt::format("{} ({})", type, fmt::join(shape, ", "));
}

NpyHeader parse_npy_header(std::span<const std::byte> begin, const std::string& where) {
  const std::string_view bytes(reinterpret_cast<const char*>(begin.data()), begin.size());
  const auto byte = [&](size_t at) { return std::to_integer<size_t>(begin[at]); };
  if (!bytes.starts_with(kMagic) || bytes.size() < 10)
    fail(ExitCode::data, "{}: not an array of NumPy: it does not begin with \\x93NUMPY.", where);
  const size_t version = byte(6);
  if (version < 1 || version > 3)
    fail(ExitCode::data, "{}: version {} of the .npy format; 1, 2 and 3 are supported.", where, version);
  const size_t text_begin = version == 1 ? 10 : 12;
  if (bytes.size() < text_begin) fail(ExitCode::data, "{}: ends within its header.", where);
  size_t length = byte(8) | byte(9) << 8;
  if (version > 1) length |= byte(10) << 16 | byte(11) << 24;
  if (length > bytes.size() - text_begin) {
    if (bytes.size() < static_cast<size_t>(kMaxNpyHeaderBytes))
      fail(ExitCode::data, "{}: ends within its header.", where);
    fail(ExitCode::data, "{}: its header of {} bytes is too long for an array of numbers.", where, length);
  }
  NpyHeader header;
  header.data_begin = static_cast<int64_t>(text_begin + length);
  LiteralReader reader(bytes.substr(text_begin, length), where);
  std::optional<std::string> descr;
  bool has_order = false, has_shape = false;
  reader.need('{');
  while (!reader.take('}')) {
    const std::string key = reader.string();
    reader.need(':');
    if (key == "descr" && !descr) {
      if (reader.is_next('[')) refuse(where, "records", "Save each field by itself.");
      descr = reader.string();
    } else if (key == "fortran_order" && !has_order) {
      header.fortran_order = reader.boolean();
      has_order = true;
    } else if (key == "shape" && !has_shape) {
      header.shape = reader.tuple();
      has_shape = true;
    } else {
      reader.fail_at("descr, fortran_order and shape, once each,");
    }
    if (!reader.take(',') && !reader.is_next('}')) reader.fail_at("','");
  }
  reader.need_end();
  if (!descr || !has_order || !has_shape) reader.fail_at("descr, fortran_order and shape");
  read_element_type(header, *descr, where);
  int64_t total = header.element_bytes;
  for (const int64_t extent : header.shape)
    if (__builtin_mul_overflow(total, std::max<int64_t>(extent, 1), &total))
      fail(ExitCode::data, "{}: its header is damaged: the extents multiply to more than 2^63 bytes.", where);
  return header;
}

}  // namespace lockstep
