#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lockstep {

/// Filters a job's standard error for people: removes the paragraphs in which MPI and mpirun repeat that a
/// rank ended with an error, if the rank itself reports it, before or after the paragraph.
class ErrorStream {
 public:
  /// Filters further text and returns what to print now. Lines that may begin such a paragraph are held back
  /// until it is complete.
  std::string pass(std::string_view text);
  /// Returns the rest, at the end.
  std::string finish();
  /// The message of the first "error: ..." or "[rank 3] error: ..."; "" while there is none.
  const std::string& first_error() const { return first_error_; }

 private:
  void end_line();
  void end_block();

  std::string first_error_;
  std::string ready_;               ///< to be printed
  std::string held_;                ///< such paragraphs, while no rank has reported an error
  std::string line_;                ///< the incomplete last line
  size_t passed_ = 0;               ///< number of its characters already printed
  std::vector<std::string> block_;  ///< lines of the current paragraph, from its ruler; empty outside one
};

}  // namespace lockstep
