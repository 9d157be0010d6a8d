#pragma once

#include <cstddef>
#include <span>
#include <type_traits>

namespace lockstep {

/// Places arrays one after another in a block of memory that begins with zeros. Without memory it only adds
/// up their size, so that the same calls plan the block and divide it.
class SharedArrays {
 public:
  explicit SharedArrays(std::byte* memory = nullptr) : memory_(memory) {}

  /// An array that is valid as zeros; empty while planning.
  template <typename T>
  std::span<T> take(size_t count) {
    static_assert(std::is_trivially_destructible_v<T>);
    std::byte* const at = take_bytes(count * sizeof(T));
    if (at == nullptr) return {};
    return {reinterpret_cast<T*>(at), count};
  }
  std::byte* take_bytes(size_t bytes) {
    constexpr size_t kLine = 64;  // of the processor's cache
    std::byte* const at = memory_ == nullptr ? nullptr : memory_ + bytes_;
    bytes_ += (bytes + kLine - 1) / kLine * kLine;
    return at;
  }
  size_t bytes() const { return bytes_; }

 private:
  std::byte* memory_;
  size_t bytes_ = 0;
};

}  // namespace lockstep
