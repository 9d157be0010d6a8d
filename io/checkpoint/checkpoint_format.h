#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "io/checkpoint/checkpoint.h"

namespace lockstep {

// Constants of the file format, shared by the writer and the reader of checkpoints; see CheckpointLayout.

inline constexpr const char* kCheckpointFormat = "lockstep checkpoint";
inline constexpr int64_t kCheckpointVersion = 2;
inline constexpr const char* kCheckpointStrings = "/metadata/strings";
inline constexpr const char* kCheckpointIntegers = "/metadata/integers";
inline constexpr const char* kCheckpointReals = "/metadata/reals";
inline constexpr const char* kCheckpointHashes = "/metadata/xxh3";

std::span<const std::byte> bytes_of(const ConstTensor& tensor);

/// One hash over everything but the elements of the tensors; it covers their hashes instead. Stored as a
/// signed integer.
int64_t metadata_hash(const Checkpoint& checkpoint, std::span<const int64_t> tensor_hashes);

}  // namespace lockstep
