#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace lockstep {

/// How the process ends. The numbers are part of the fixed surface (docs/reference.md).
enum class ExitCode : int {
  ok = 0,
  usage = 2,       ///< command line or config
  data = 3,        ///< a data set, a checkpoint or the disk
  lost = 4,        ///< a rank or the network was lost
  diverged = 5,    ///< the loss is not finite
  memory = 6,      ///< out of host or device memory
  bug = 70,        ///< a bug in Lockstep, not a mistake of the user
  preempted = 75,  ///< stopped after a checkpoint: submit the job again
};

/// What went wrong, where, and what to do about it, in one sentence; and the exit code of the process.
class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

/// Throws Error with a message made by fmt.
template <typename... Args>
[[noreturn]] void fail(ExitCode code, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(code, fmt::format(format, std::forward<Args>(args)...));
}

/// Throws Error(bug): "FILE:LINE: EXPRESSION: WHY". Used by the macros below.
[[noreturn]] void fail_check(ExitCode code, const char* file, int line, const char* expression,
                             const std::string& why);

}  // namespace lockstep

/// Runs a library call and, if it fails, throws Error with file, line, the call as written and the library's
/// own message. Each library's wrapper header defines for its status type:
///   bool ok(Status), std::string describe(Status) and ExitCode exit_code(Status).
#define CHECK(...) LOCKSTEP_CHECK_(#__VA_ARGS__, __VA_ARGS__)
#define LOCKSTEP_CHECK_(text, ...)                                                             \
  do {                                                                                         \
    if (const auto status_ = (__VA_ARGS__); !ok(status_))                                      \
      ::lockstep::fail_check(exit_code(status_), __FILE__, __LINE__, text, describe(status_)); \
  } while (false)

/// Asserts what only a bug in Lockstep can violate: throws Error with ExitCode::bug.
#define INVARIANT(condition, ...)                                                       \
  do {                                                                                  \
    if (!(condition))                                                                   \
      ::lockstep::fail_check(::lockstep::ExitCode::bug, __FILE__, __LINE__, #condition, \
                             ::fmt::format("" __VA_ARGS__));                            \
  } while (false)
