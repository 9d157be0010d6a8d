#pragma once

#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "io/import/input_file.h"
#include "io/import/zip_directory.h"

namespace lockstep {

/// The bytes of a member of a zip file in order, inflated if need be. Must not outlive its arguments.
class MemberStream {
 public:
  MemberStream(const InputFile& file, const ZipMember& member);
  ~MemberStream();
  MemberStream(const MemberStream&) = delete;
  MemberStream& operator=(const MemberStream&) = delete;

  /// The next bytes. Throws Error(data) if there are fewer, or if they are damaged; with the last one, all
  /// are checked against the checksum, unless some were passed over in the file.
  void read(std::span<std::byte> out);
  /// Passes over the next bytes.
  void skip(int64_t bytes);

 private:
  void inflate_into(std::span<std::byte> out);
  void require_end();
  [[noreturn]] void fail_damaged(const std::string& why) const;

  const InputFile& file_;
  const ZipMember& member_;
  int64_t position_ = 0, stored_position_ = 0;
  z_stream inflater_{};
  std::vector<std::byte> input_;
  uLong checksum_ = 0;
  bool all_read_ = true, is_at_end_ = false;
};

}  // namespace lockstep
