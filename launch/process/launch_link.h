#pragma once

#include <string>

namespace lockstep {

/// Receives messages from ranks in the `lockstep launch` that started them, over a local socket without a
/// file.
class LaunchLink {
 public:
  /// Throws Error(usage) if the system cannot create a socket.
  LaunchLink();
  ~LaunchLink();
  LaunchLink(const LaunchLink&) = delete;
  LaunchLink& operator=(const LaunchLink&) = delete;

  /// The value for the environment variable kLaunchVariable of the ranks.
  const std::string& name() const { return name_; }
  /// Readable when a message has arrived.
  int descriptor() const { return descriptor_; }
  /// Reads the messages that have arrived; does not wait.
  void take();

  /// The number of ranks that have reported that they handle signals. Until then a signal would kill them.
  int listening() const { return listening_; }
  /// The run folder; "" until the ranks have reported it.
  const std::string& run_folder() const { return run_folder_; }

 private:
  int descriptor_ = -1;
  std::string name_;
  int listening_ = 0;
  std::string run_folder_;
};

constexpr const char* kLaunchVariable = "LOCKSTEP_LAUNCH";

// Sent by a rank. No effect if `name` is "" or the receiver is gone.
void tell_launch_listening(const std::string& name);
void tell_launch_run_folder(const std::string& name, const std::string& folder);

}  // namespace lockstep
