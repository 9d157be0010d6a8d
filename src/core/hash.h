#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace lockstep {

/// XXH3-64 of the bytes (https://xxhash.com): the hash used for weights, tensors and names.
uint64_t hash_bytes(std::span<const std::byte> bytes);
uint64_t hash_name(std::string_view name);

/// XXH3-64 of bytes that arrive in pieces: the same value as hash_bytes over all of them.
class StreamingHash {
 public:
  StreamingHash();
  ~StreamingHash();
  StreamingHash(const StreamingHash&) = delete;
  StreamingHash& operator=(const StreamingHash&) = delete;
  void update(std::span<const std::byte> bytes);
  uint64_t digest() const;

 private:
  void* state_;
};

}  // namespace lockstep
