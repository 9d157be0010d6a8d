#include "io/import/member_stream.h"

#include <algorithm>
#include <new>

#include "src/core/error.h"
#include "src/core/text/printable.h"

namespace lockstep {

namespace {

constexpr int64_t kInputBytes = int64_t{256} << 10;
constexpr size_t kPieceBytes = size_t{1} << 20;

}  // namespace

MemberStream::MemberStream(const InputFile& file, const ZipMember& member) : file_(file), member_(member) {
  constexpr int kWithoutHeader = -MAX_WBITS;
  if (member.is_deflated && inflateInit2(&inflater_, kWithoutHeader) != Z_OK) throw std::bad_alloc();
}

MemberStream::~MemberStream() {
  if (member_.is_deflated) inflateEnd(&inflater_);
}

void MemberStream::read(std::span<std::byte> out) {
  if (static_cast<int64_t>(out.size()) > member_.bytes - position_) fail_damaged("ends too early");
  while (!out.empty()) {
    const std::span<std::byte> piece = out.first(std::min(out.size(), kPieceBytes));
    if (member_.is_deflated)
      inflate_into(piece);
    else
      file_.read(member_.begin + position_, piece);
    position_ += static_cast<int64_t>(piece.size());
    if (member_.checksum)
      checksum_ =
          crc32(checksum_, reinterpret_cast<const Bytef*>(piece.data()), static_cast<uInt>(piece.size()));
    out = out.subspan(piece.size());
  }
  if (position_ == member_.bytes) require_end();
}

void MemberStream::skip(int64_t bytes) {
  if (bytes > member_.bytes - position_) fail_damaged("ends too early");
  if (!member_.is_deflated) {
    position_ += bytes;
    all_read_ = all_read_ && bytes == 0;
    return;
  }
  std::vector<std::byte> passed(static_cast<size_t>(std::min<int64_t>(bytes, kPieceBytes)));
  for (; bytes > 0; bytes -= static_cast<int64_t>(passed.size())) {
    if (static_cast<int64_t>(passed.size()) > bytes) passed.resize(static_cast<size_t>(bytes));
    read(passed);
  }
}

void MemberStream::inflate_into(std::span<std::byte> out) {
  inflater_.next_out = reinterpret_cast<Bytef*>(out.data());
  inflater_.avail_out = static_cast<uInt>(out.size());
  while (inflater_.avail_out > 0) {
    if (is_at_end_) fail_damaged("ends too early");
    if (inflater_.avail_in == 0 && stored_position_ < member_.stored_bytes) {
      input_.resize(static_cast<size_t>(std::min(kInputBytes, member_.stored_bytes - stored_position_)));
      file_.read(member_.begin + stored_position_, input_);
      stored_position_ += static_cast<int64_t>(input_.size());
      inflater_.next_in = reinterpret_cast<Bytef*>(input_.data());
      inflater_.avail_in = static_cast<uInt>(input_.size());
    }
    const int status = inflate(&inflater_, Z_NO_FLUSH);
    if (status == Z_MEM_ERROR) throw std::bad_alloc();
    if (status == Z_BUF_ERROR) fail_damaged("ends too early");
    if (status != Z_OK && status != Z_STREAM_END) fail_damaged("is damaged");
    is_at_end_ = status == Z_STREAM_END;
  }
}

void MemberStream::require_end() {
  if (all_read_ && member_.checksum && checksum_ != *member_.checksum)
    fail_damaged("is damaged: its checksum is another");
}

void MemberStream::fail_damaged(const std::string& why) const {
  fail(ExitCode::data, "{}: {} {}. Fetch or save the file again.", file_.path(),
       member_.name.empty() ? "it" : printable(member_.name), why);
}

}  // namespace lockstep
