#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace lockstep {

/// What read_at() returns if the file has fewer bytes.
inline constexpr const char* kFileEndsEarly = "the file ends before its values do";

/// Reads bytes of a file from `offset` on into these pieces of memory, in order, wherever the descriptor's
/// own position is. Modifies `pieces`. Returns "", or why it failed: the system's words, or
/// kFileEndsEarly.
std::string read_at(int descriptor, int64_t offset, std::span<iovec> pieces);
std::string read_at(int descriptor, int64_t offset, std::span<std::byte> out);

}  // namespace lockstep
