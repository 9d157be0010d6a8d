#pragma once

#include <string>

namespace lockstep {

/// What ranks tell the `lockstep launch` that started them, over a socket of this machine that needs no file.
/// This is the side of launch.
class LaunchLink {
 public:
  /// Throws Error(usage) when the system has no socket left.
  LaunchLink();
  ~LaunchLink();
  LaunchLink(const LaunchLink&) = delete;
  LaunchLink& operator=(const LaunchLink&) = delete;

  /// What ranks find in the variable kLaunchVariable.
  const std::string& name() const { return name_; }
  /// Readable when something has come.
  int descriptor() const { return descriptor_; }
  /// Takes what has come, without waiting.
  void take();

  /// How many ranks have said that they take signals: before that a signal would just end them.
  int listening() const { return listening_; }
  /// The folder that the run has taken; "" as long as it has none.
  const std::string& run_folder() const { return run_folder_; }

 private:
  int descriptor_ = -1;
  std::string name_;
  int listening_ = 0;
  std::string run_folder_;
};

constexpr const char* kLaunchVariable = "LOCKSTEP_LAUNCH";

// The side of a rank, which does nothing where `name` is "" or nobody listens any more.
void tell_launch_listening(const std::string& name);
void tell_launch_run_folder(const std::string& name, const std::string& folder);

}  // namespace lockstep
