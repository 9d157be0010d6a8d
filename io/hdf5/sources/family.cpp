#include "io/hdf5/sources/family.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "io/file/file_parts.h"
#include "io/hdf5/chunks/read_driver.h"
#include "io/hdf5/hdf5.h"
#include "io/hdf5/number_at.h"
#include "src/core/counted.h"
#include "src/core/text/readable_bytes.h"

namespace lockstep::hdf5 {

namespace fs = std::filesystem;

namespace {

/// The maximum gap behind the last member after which a later one is still detected.
constexpr int64_t kLaterMembers = 100;
constexpr size_t kMaxWidth = 20;
constexpr size_t kPart = 512;  ///< of a file, in which its driver is named

constexpr std::string_view kFamilyDriver = "NCSAfami", kMultiDriver = "NCSAmult";

/// The number in a pattern: what is before it and behind it, and how it is written.
struct Numbered {
  std::string before, behind;
  size_t width = 0;
  char fill = ' ';
};

std::optional<Numbered> parse_pattern(const std::string& path) {
  Numbered found;
  bool has_number = false;
  for (size_t at = 0; at < path.size(); ++at) {
    std::string& text = has_number ? found.behind : found.before;
    if (path[at] != '%') {
      text += path[at];
      continue;
    }
    if (path.substr(at, 2) == "%%") {
      text += path[++at];
      continue;
    }
    size_t end = at + 1;
    if (end < path.size() && path[end] == '0') found.fill = path[end++];
    while (end < path.size() && std::isdigit(static_cast<unsigned char>(path[end])) != 0 &&
           found.width <= kMaxWidth)
      found.width = 10 * found.width + static_cast<size_t>(path[end++] - '0');
    const bool is_number = end < path.size() && std::string_view("diu").find(path[end]) != std::string::npos;
    if (has_number || !is_number || found.width > kMaxWidth) return std::nullopt;
    has_number = true;
    at = end;
  }
  // The members are files of one folder.
  if (!has_number || found.behind.find('/') != std::string::npos) return std::nullopt;
  return found;
}

bool is_there(const std::string& path) {
  std::error_code error;
  return fs::exists(path, error) || error;
}

/// What the superblock of a file says about the driver that wrote it.
struct DriverInfo {
  std::string name;
  uint64_t member_bytes = 0;  ///< of a family
};

std::vector<std::byte> bytes_at(std::ifstream& file, uint64_t offset, size_t count) {
  std::vector<std::byte> bytes(count);
  file.clear();
  file.seekg(static_cast<std::streamoff>(offset));
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(count));
  bytes.resize(static_cast<size_t>(std::max<std::streamsize>(0, file.gcount())));
  return bytes;
}

std::string_view as_text(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// The driver's name and what follows it in a part of the file: the information block of superblocks of
/// versions 0 and 1, or the superblock's extension, an object header with a message on the driver (HDF5 File
/// Format Specification, II.B and IV.A.2.u).
std::optional<DriverInfo> driver_info_in(const std::vector<std::byte>& part) {
  const std::string_view text = as_text(part);
  const size_t at = std::min(text.find(kFamilyDriver), text.find(kMultiDriver));
  if (at == std::string::npos) return std::nullopt;
  DriverInfo info{.name = std::string(text.substr(at, kFamilyDriver.size()))};
  const bool is_message = text.starts_with("OHDR");  // the size of what follows is behind the name
  const size_t size_at = at + kFamilyDriver.size() + (is_message ? 2 : 0);
  if (part.size() >= size_at + 8) info.member_bytes = number_at(&part[size_at], 8);
  return info;
}

std::optional<DriverInfo> driver_info(const std::string& path) {
  constexpr std::string_view kSignature = "\x89HDF\r\n\x1a\n";
  constexpr size_t kSuperblock = 128, kFirstUserBlock = 512;
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return std::nullopt;  // opening a pipe would wait for a writer
  std::ifstream file(path, std::ios::binary);
  std::vector<std::byte> block;
  for (uint64_t at = 0; !(block = bytes_at(file, at, kSuperblock)).empty();
       at = std::max<uint64_t>(kFirstUserBlock, 2 * at)) {
    if (!as_text(block).starts_with(kSignature)) continue;
    block.resize(kSuperblock);
    const auto version = std::to_integer<unsigned>(block[8]);
    const size_t size = std::min<size_t>(8, std::to_integer<size_t>(block[version < 2 ? 13 : 9]));
    const size_t addresses = version == 0 ? 24 : version == 1 ? 28 : 12;
    const uint64_t base = number_at(&block[addresses], size);
    const uint64_t place = number_at(&block[addresses + (version < 2 ? 3 : 1) * size], size);
    if (size == 0 || place == UINT64_MAX >> (64 - 8 * size)) return std::nullopt;
    return driver_info_in(bytes_at(file, base + place, kPart));
  }
  return std::nullopt;
}

std::string pattern_with(const std::string& name, size_t first, size_t digits) {
  const auto escaped = [](std::string text) {
    for (size_t at = 0; (at = text.find('%', at)) != std::string::npos; at += 2) text.insert(at, 1, '%');
    return text;
  };
  const std::string number = digits > 1 ? fmt::format("%0{}d", digits) : "%d";
  return escaped(name.substr(0, first)) + number + escaped(name.substr(first + digits));
}

/// The patterns of which a file may be a member, by a number in its name.
std::vector<std::string> possible_patterns(const std::string& path) {
  const size_t name_at = path.rfind('/') == std::string::npos ? 0 : path.rfind('/') + 1;
  const auto is_digit = [&](size_t at) { return std::isdigit(static_cast<unsigned char>(path[at])) != 0; };
  std::vector<std::string> patterns;
  for (size_t end = path.size(); end > name_at; --end) {
    if (!is_digit(end - 1)) continue;
    size_t first = end - 1;
    while (first > name_at && is_digit(first - 1)) --first;
    const size_t digits = end - first;
    patterns.push_back(pattern_with(path, first, digits));
    // "data-10.h5" may be the eleventh of "data-%d.h5".
    if (digits > 1 && path[first] != '0')
      patterns.push_back(pattern_with(path.substr(0, first) + "0" + path.substr(end), first, 1));
    end = first + 1;
  }
  return patterns;
}

bool is_first_of_family(const std::string& path) {
  const std::optional<DriverInfo> info = driver_info(path);
  return info && info->name == kFamilyDriver;
}

/// The driver "multi" stores the superblock's extension in a file of object headers, which begins with it.
bool names_multi_driver(const std::string& path) {
  std::optional<DriverInfo> info = driver_info(path);
  std::error_code error;
  if (std::ifstream file; !info && fs::is_regular_file(path, error)) {
    file.open(path, std::ios::binary);
    info = driver_info_in(bytes_at(file, 0, kPart));
  }
  return info && info->name == kMultiDriver;
}

uint64_t bytes_of_member(const std::string& path) {
  std::error_code error;
  const auto bytes = fs::file_size(path, error);
  if (error || !std::ifstream(path))
    fail(ExitCode::data, "{}, a file of a family, cannot be read: {}. Check its owner and permissions.", path,
         error ? error.message() : std::strerror(errno));
  return bytes;
}

}  // namespace

bool is_family_pattern(const std::string& path) {
  return path.find('%') != std::string::npos && parse_pattern(path) && !is_there(path);
}

std::string member_of(const std::string& pattern, int64_t number) {
  const std::optional<Numbered> parts = parse_pattern(pattern);
  INVARIANT(parts, "'{}' is no pattern of a family", pattern);
  std::string digits = std::to_string(number);
  if (digits.size() < parts->width) digits.insert(0, parts->width - digits.size(), parts->fill);
  return parts->before + digits + parts->behind;
}

Family find_family(const std::string& pattern) {
  Family family{.pattern = pattern};
  std::string next = member_of(pattern, 0);
  if (!is_there(next))
    fail(ExitCode::data, "{} does not exist, the first file of the family {}. Check the path.", next,
         pattern);
  for (int64_t number = 1; is_there(next); ++number) {
    family.members.push_back(next);
    next = member_of(pattern, number);
  }
  const auto count = static_cast<int64_t>(family.members.size());
  for (int64_t later = count + 1; later <= count + kLaterMembers; ++later)
    if (const std::string there = member_of(pattern, later); is_there(there))
      fail(ExitCode::data,
           "{} does not exist, although {} of the same family does. Restore the missing file.", next, there);
  // As libhdf5 has it, those of a longer family that was overwritten by this one are empty.
  std::vector<uint64_t> bytes;
  for (const std::string& member : family.members) bytes.push_back(bytes_of_member(member));
  while (bytes.size() > 1 && bytes.back() == 0) bytes.pop_back();
  family.members.resize(bytes.size());
  const std::optional<DriverInfo> info = driver_info(family.members[0]);
  family.member_bytes = info && info->name == kFamilyDriver ? info->member_bytes : bytes[0];
  for (size_t i = 0; i < bytes.size(); ++i) {
    const bool is_last = i + 1 == bytes.size();
    if (is_last ? bytes[i] > family.member_bytes : bytes[i] != family.member_bytes)
      fail(ExitCode::data,
           "{} has {} bytes, but the files of the family {} have {} each. Copy it again; `h5repart` changes "
           "their size.",
           family.members[i], bytes[i], pattern, family.member_bytes);
    family.bytes += bytes[i];
  }
  return family;
}

std::string family_begun_by(const std::string& path) {
  if (!is_first_of_family(path)) return "";
  for (std::string& pattern : possible_patterns(path))
    if (member_of(pattern, 0) == path) return std::move(pattern);
  return "";
}

std::vector<std::string> files_behind(const std::string& path) {
  if (is_family_pattern(path)) return find_family(path).members;
  if (const std::string pattern = family_begun_by(path); !pattern.empty())
    return find_family(pattern).members;
  return {path};
}

std::string describe_family(const File& file) {
  const std::shared_ptr<const FileParts> parts = family_of(file.id());
  if (!parts) return "";
  const std::vector<std::string> members = parts->paths();
  const auto name_of = [](const std::string& path) { return printable(fs::path(path).filename().string()); };
  return fmt::format("{} is read as a family of {} with {}, {}{}", printable(file.path()),
                     counted(members.size(), "file"), readable_bytes(static_cast<int64_t>(parts->bytes())),
                     name_of(members.front()),
                     members.size() > 1 ? " to " + name_of(members.back()) : std::string());
}

std::string advice_on_part(const std::string& path) {
  for (const std::string& pattern : possible_patterns(path))
    if (const std::string first = member_of(pattern, 0); first != path && is_first_of_family(first))
      return fmt::format("It is a part of a file that is stored as a family: name {} or {} instead of it.",
                         pattern, first);
  // The endings by default, and those of h5py.
  constexpr std::array<std::string_view, 4> kStructure = {"-m.h5", "-s.h5", "-o.h5", ".meta"};
  constexpr std::array<std::string_view, 10> kParts = {"",      "-r.h5", "-b.h5", "-g.h5", "-l.h5",
                                                       "-o.h5", ".raw",  "-m.h5", "-s.h5", ".meta"};
  for (const std::string_view end : kParts) {
    if (!path.ends_with(end)) continue;
    const std::string stem = path.substr(0, path.size() - end.size());
    for (const std::string_view structure : kStructure) {
      if (names_multi_driver(stem + std::string(structure)))
        return fmt::format(
            "It is a part of a file that libhdf5's driver \"multi\" or \"split\" stores in several, which is "
            "not supported: `h5repack {} OUT.h5` makes one file of them.",
            stem);
    }
  }
  return "";
}

}  // namespace lockstep::hdf5
