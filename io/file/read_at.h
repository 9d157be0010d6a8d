#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace lockstep {

/// Reads bytes of a file from `offset` on into these pieces of memory, in order, wherever the descriptor's
/// own position is. Modifies `pieces`. Returns "", or why it failed: "Input/output error", "the file ends
/// before its values do".
std::string read_at(int descriptor, int64_t offset, std::span<iovec> pieces);
std::string read_at(int descriptor, int64_t offset, std::span<std::byte> out);

}  // namespace lockstep
