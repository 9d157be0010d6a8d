#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lockstep {

/// What the processes of a job write to standard error, as it goes on to a person: without the paragraphs in
/// which MPI and mpirun repeat that a rank ended with an error, once that rank has said so itself: before the
/// paragraph or after it.
class ErrorStream {
 public:
  /// What follows from further text for standard error. Lines that may be the beginning of such a paragraph
  /// are held back until it is whole.
  std::string pass(std::string_view text);
  /// The rest, at the end.
  std::string finish();
  /// What the first "error: ..." or "[rank 3] error: ..." says; "" as long as there is none.
  const std::string& first_error() const { return first_error_; }

 private:
  void end_line();
  void end_block();

  std::string first_error_;
  std::string ready_;               ///< to be handed on
  std::string held_;                ///< such paragraphs, as long as no rank has said anything
  std::string line_;                ///< as far as it has come
  size_t passed_ = 0;               ///< characters of it that went on already
  std::vector<std::string> block_;  ///< lines from a ruler on; empty outside of a paragraph
};

}  // namespace lockstep
