#pragma once

// What the threads of a block access.
#include <cstdint>
#include <span>

namespace emulator::account {

/// Of one block.
struct Counts {
  /// Sectors that no block of the launch before it has touched, and sectors that it touches itself.
  uint64_t new_read = 0, new_written = 0, own_read = 0, own_written = 0;
  uint64_t accessed = 0;  ///< sectors, added over the accesses of its warps
  uint64_t shared_accesses = 0, fused_operations = 0;
  uint64_t matrix_operations = 0;  ///< products that mma_sync() adds
  uint64_t work = 0;               ///< calls of the counter: how long the emulation takes

  Counts& operator+=(const Counts& other) {
    new_read += other.new_read;
    new_written += other.new_written;
    own_read += other.own_read;
    own_written += other.own_written;
    accessed += other.accessed;
    shared_accesses += other.shared_accesses;
    fused_operations += other.fused_operations;
    matrix_operations += other.matrix_operations;
    work += other.work;
    return *this;
  }
  /// Whether two blocks do the same at different addresses.
  bool same_shape(const Counts& other) const {
    return own_read == other.own_read && own_written == other.own_written && accessed == other.accessed &&
           shared_accesses == other.shared_accesses && fused_operations == other.fused_operations &&
           matrix_operations == other.matrix_operations;
  }
  bool operator==(const Counts& other) const {
    return same_shape(other) && new_read == other.new_read && new_written == other.new_written;
  }
};

/// Before the first block of a launch. shared: the memory that its threads may share.
void begin_launch(std::span<const std::span<std::byte>> shared);
void begin_block(unsigned threads);
enum class Touch { new_sectors, only_own };
/// only_own: the launch does not remember the sectors of this block.
Counts end_block(Touch touch);
void end_launch();

}  // namespace emulator::account
