#include <algorithm>
#include <vector>

#include "io/import/array_writer.h"
#include "io/import/member_stream.h"
#include "tests/fuzz/fuzz.h"

/// A .npy header, and a .npz file with its directory, the headers of its arrays and all of their bytes.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lockstep;
  // Memory of exactly this size: AddressSanitizer sees any access beyond it.
  const std::vector<uint8_t> copy(data, data + std::min<size_t>(size, kMaxNpyHeaderBytes));
  fuzz::expect_answer({ExitCode::data}, [&] { parse_npy_header(std::as_bytes(std::span(copy)), "a.npy"); });
  const InputFile file(fuzz::as_file(data, size));
  std::vector<ZipMember> members;
  fuzz::expect_answer({ExitCode::data}, [&] { members = read_zip_directory(file); });
  for (const ZipMember& member : members)
    fuzz::expect_answer({ExitCode::data}, [&] {
      const StoredArray array = open_array(file, member, member.name);
      MemberStream stream(file, member);
      stream.skip(array.header.data_begin);
      std::vector<std::byte> piece(4096);
      for (int64_t left = array.header.data_bytes(); left > 0; left -= static_cast<int64_t>(piece.size())) {
        piece.resize(static_cast<size_t>(std::min<int64_t>(left, static_cast<int64_t>(piece.size()))));
        stream.read(piece);
      }
    });
  return 0;
}
