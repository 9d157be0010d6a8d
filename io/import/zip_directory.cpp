#include "io/import/zip_directory.h"

#include <algorithm>
#include <cstddef>
#include <limits>

#include "src/core/error.h"
#include "src/core/text/printable.h"

namespace lockstep {

namespace {

constexpr uint32_t kEndMark = 0x06054b50, kEnd64Mark = 0x06064b50, kLocatorMark = 0x07064b50;
constexpr uint32_t kEntryMark = 0x02014b50, kLocalMark = 0x04034b50;
constexpr int64_t kEndBytes = 22, kEnd64Bytes = 56, kLocatorBytes = 20, kEntryBytes = 46, kLocalBytes = 30;
constexpr uint64_t kFull16 = 0xFFFF, kFull32 = 0xFFFFFFFF;  // the value is in a record of zip64

/// Little-endian numbers of bytes, which must lie within them.
class ZipRecord {
 public:
  ZipRecord(const InputFile& file, int64_t offset, int64_t bytes) : file_(file) {
    if (offset < 0 || bytes < 0 || offset > file.bytes() || bytes > file.bytes() - offset) fail_damaged();
    bytes_.resize(static_cast<size_t>(bytes));
    file.read(offset, bytes_);
  }

  [[noreturn]] void fail_damaged() const {
    fail(ExitCode::data, "{}: its directory is damaged, or the file is cut short. Fetch the file again.",
         file_.path());
  }
  int64_t size() const { return static_cast<int64_t>(bytes_.size()); }
  uint64_t number(int64_t at, int64_t count) const {
    if (at < 0 || at > size() - count) fail_damaged();
    uint64_t value = 0;
    for (int64_t i = count; i-- > 0;)
      value = value << 8 | std::to_integer<uint64_t>(bytes_[static_cast<size_t>(at + i)]);
    return value;
  }
  /// A size or an offset in the file.
  int64_t extent(int64_t at, int64_t count) const {
    const uint64_t value = number(at, count);
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) fail_damaged();
    return static_cast<int64_t>(value);
  }
  std::string text(int64_t at, int64_t count) const {
    if (at < 0 || count < 0 || at > size() - count) fail_damaged();
    return {reinterpret_cast<const char*>(bytes_.data()) + at, static_cast<size_t>(count)};
  }

 private:
  const InputFile& file_;
  std::vector<std::byte> bytes_;
};

/// Where the central directory lies.
struct DirectoryPlace {
  int64_t begin = 0, bytes = 0;
};

DirectoryPlace find_directory(const InputFile& file) {
  // The end record is the last one, before a comment.
  const int64_t tail_bytes = std::min<int64_t>(file.bytes(), kEndBytes + 0xFFFF);
  const int64_t tail_begin = file.bytes() - tail_bytes;
  const ZipRecord tail(file, tail_begin, tail_bytes);
  int64_t at = tail_bytes - kEndBytes;
  while (at >= 0 && (tail.number(at, 4) != kEndMark ||
                     static_cast<int64_t>(tail.number(at + 20, 2)) != tail_bytes - at - kEndBytes))
    --at;
  if (at < 0)
    fail(ExitCode::data,
         "{}: not a zip file, as .npz files are, or its end is missing. If it is a .npy file, import it as "
         "npy.",
         file.path());
  const bool is_zip64 = tail.number(at + 10, 2) == kFull16 || tail.number(at + 12, 4) == kFull32 ||
                        tail.number(at + 16, 4) == kFull32;
  if (!is_zip64) return {tail.extent(at + 16, 4), tail.extent(at + 12, 4)};
  const ZipRecord locator(file, tail_begin + at - kLocatorBytes, kLocatorBytes);
  if (locator.number(0, 4) != kLocatorMark) locator.fail_damaged();
  const ZipRecord end(file, locator.extent(8, 8), kEnd64Bytes);
  if (end.number(0, 4) != kEnd64Mark) end.fail_damaged();
  return {end.extent(48, 8), end.extent(40, 8)};
}

/// Replaces values that are in the entry's record of zip64, which holds those that are full, in this order.
void read_zip64(const ZipRecord& directory, int64_t extra, int64_t extra_bytes, ZipMember& member,
                int64_t& local) {
  constexpr uint64_t kZip64 = 1;
  const int64_t end = extra + extra_bytes;
  for (int64_t at = extra; at + 4 <= end;) {
    const auto bytes = static_cast<int64_t>(directory.number(at + 2, 2));
    if (directory.number(at, 2) == kZip64) {
      int64_t next = at + 4;
      for (int64_t* value : {&member.bytes, &member.stored_bytes, &local}) {
        if (static_cast<uint64_t>(*value) != kFull32) continue;
        if (next + 8 > at + 4 + bytes || next + 8 > end) directory.fail_damaged();
        *value = directory.extent(next, 8);
        next += 8;
      }
      return;
    }
    at += 4 + bytes;
  }
}

/// Finds a member's stored bytes behind its local header, whose name and extra fields may be others.
void find_bytes(const InputFile& file, int64_t local, ZipMember& member) {
  const ZipRecord header(file, local, kLocalBytes);
  if (header.number(0, 4) != kLocalMark) header.fail_damaged();
  member.begin = local + kLocalBytes + static_cast<int64_t>(header.number(26, 2) + header.number(28, 2));
  if (member.begin > file.bytes() || member.stored_bytes > file.bytes() - member.begin) header.fail_damaged();
}

}  // namespace

std::vector<ZipMember> read_zip_directory(const InputFile& file) {
  constexpr int64_t kMaxDirectoryBytes = int64_t{16} << 20;
  constexpr uint64_t kEncrypted = 1, kStored = 0, kDeflated = 8;
  const DirectoryPlace place = find_directory(file);
  if (place.bytes > kMaxDirectoryBytes)
    fail(ExitCode::data, "{}: its directory has {} bytes, which is too many for a file of arrays.",
         file.path(), place.bytes);
  const ZipRecord directory(file, place.begin, place.bytes);
  std::vector<ZipMember> members;
  for (int64_t at = 0; at < directory.size();) {
    if (directory.number(at, 4) != kEntryMark) directory.fail_damaged();
    const auto name_bytes = static_cast<int64_t>(directory.number(at + 28, 2));
    const auto extra_bytes = static_cast<int64_t>(directory.number(at + 30, 2));
    const auto comment_bytes = static_cast<int64_t>(directory.number(at + 32, 2));
    ZipMember member{.name = directory.text(at + kEntryBytes, name_bytes)};
    const uint64_t method = directory.number(at + 10, 2);
    if (directory.number(at + 8, 2) & kEncrypted)
      fail(ExitCode::data, "{}: {} is encrypted. Unpack the file first.", file.path(),
           printable(member.name));
    if (method != kStored && method != kDeflated)
      fail(ExitCode::data, "{}: {} is compressed by method {}; NumPy writes 0 and 8. Save it again.",
           file.path(), printable(member.name), method);
    member.is_deflated = method == kDeflated;
    member.checksum = static_cast<uint32_t>(directory.number(at + 16, 4));
    member.stored_bytes = directory.extent(at + 20, 4);
    member.bytes = directory.extent(at + 24, 4);
    int64_t local = directory.extent(at + 42, 4);
    read_zip64(directory, at + kEntryBytes + name_bytes, extra_bytes, member, local);
    find_bytes(file, local, member);
    // Deflate makes nothing more than 1032 times smaller.
    const int64_t most = member.is_deflated ? 1032 : 1;
    if (member.bytes / most > member.stored_bytes || (most == 1 && member.stored_bytes != member.bytes))
      directory.fail_damaged();
    members.push_back(std::move(member));
    at += kEntryBytes + name_bytes + extra_bytes + comment_bytes;
  }
  return members;
}

}  // namespace lockstep
