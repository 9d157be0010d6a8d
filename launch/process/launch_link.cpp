#include "launch/process/launch_link.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "src/core/error.h"

namespace lockstep {

namespace {

// A message is one of these letters and its argument.
constexpr char kListening = 'l', kFolder = 'f';

/// An abstract socket address of Linux, which begins with a zero byte and needs no file.
socklen_t fill(sockaddr_un& address, const std::string& name) {
  address.sun_family = AF_UNIX;
  const size_t length = std::min(name.size(), sizeof address.sun_path - 1);
  std::memcpy(address.sun_path + 1, name.data(), length);
  return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + length);
}

void tell(const std::string& name, const std::string& message) {
  if (name.empty()) return;
  const int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return;
  sockaddr_un address{};
  const socklen_t length = fill(address, name);
  while (sendto(descriptor, message.data(), message.size(), MSG_NOSIGNAL,
                reinterpret_cast<const sockaddr*>(&address), length) < 0 &&
         errno == EINTR) {
  }
  close(descriptor);
}

}  // namespace

LaunchLink::LaunchLink() : descriptor_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // Without a path the system chooses an unused name.
  socklen_t length = sizeof(sa_family_t);
  if (descriptor_ < 0 || bind(descriptor_, reinterpret_cast<const sockaddr*>(&address), length) != 0)
    fail(ExitCode::usage, "cannot open a socket for the ranks: {}", std::strerror(errno));
  length = sizeof address;
  getsockname(descriptor_, reinterpret_cast<sockaddr*>(&address), &length);
  name_.assign(address.sun_path + 1, length - offsetof(sockaddr_un, sun_path) - 1);
}

LaunchLink::~LaunchLink() { close(descriptor_); }

void LaunchLink::take() {
  for (;;) {
    std::array<char, 1 + 4096> message;
    const ssize_t length = recv(descriptor_, message.data(), message.size(), 0);
    if (length < 0 && errno == EINTR) continue;
    if (length <= 0) return;
    if (message[0] == kListening) ++listening_;
    if (message[0] == kFolder) run_folder_.assign(message.data() + 1, static_cast<size_t>(length - 1));
  }
}

void tell_launch_listening(const std::string& name) { tell(name, std::string(1, kListening)); }

void tell_launch_run_folder(const std::string& name, const std::string& folder) {
  tell(name, kFolder + folder);
}

}  // namespace lockstep
