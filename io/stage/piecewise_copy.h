#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "io/file/watched_files.h"

namespace lockstep {

/// A copy of a file that is made in pieces, by several threads, and can be continued by another process: the
/// pieces lie in PATH.part, and PATH.part.log lists those that are done with their checksums.
class PiecewiseCopy {
 public:
  static constexpr int64_t kPieceBytes = int64_t{16} << 20;

  /// Opens the original, and checks what is already there of the copy; discards it if the original has
  /// changed.
  PiecewiseCopy(std::string original, std::string path);
  ~PiecewiseCopy();
  PiecewiseCopy(const PiecewiseCopy&) = delete;
  PiecewiseCopy& operator=(const PiecewiseCopy&) = delete;

  /// Bytes of the original that are still to be copied.
  int64_t missing() const;
  const FileState& original() const { return state_; }
  /// Copies the missing pieces, and checks all pieces by reading them again. copied: called after each piece
  /// with its bytes, by any of the threads. Throws Error(data).
  void run(int threads, const std::function<void(int64_t bytes)>& copied);
  /// Gives the copy its name. Returns its state.
  FileState commit();
  /// The checksum of the pieces' checksums.
  uint64_t checksum() const;

 private:
  struct Piece {
    uint64_t checksum = 0;
    bool done = false;
  };
  void resume();
  void copy(size_t index);
  void note(size_t index);
  int64_t bytes_of(size_t index) const;
  uint64_t checksum_of(int descriptor, const std::string& file, size_t index) const;
  void for_each_piece(int threads, const std::function<void(size_t index)>& action) const;
  void require_original() const;
  [[noreturn]] void fail_writing(const char* what) const;

  std::string original_, path_, part_, log_;
  FileState state_;
  std::vector<Piece> pieces_;
  int from_ = -1, to_ = -1, log_descriptor_ = -1;
};

}  // namespace lockstep
