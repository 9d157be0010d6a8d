#include "launch/process/stop_signals.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>

namespace lockstep {
namespace {

/// What a process has written to standard output when SIGTERM has come, whatever happens to it then.
std::string output_after_a_signal(bool drawn) {
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0) return "no pipe";
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDOUT_FILENO);
    take_stop_signals(/*speaks=*/false);
    set_line_drawn(drawn);
    raise(SIGTERM);
    raise(SIGTERM);
    _exit(0);
  }
  close(ends[1]);
  std::array<char, 100> text{};
  std::string all;
  for (ssize_t count = 0; (count = read(ends[0], text.data(), text.size())) > 0;)
    all.append(text.data(), static_cast<size_t>(count));
  close(ends[0]);
  waitpid(child, nullptr, 0);
  return all;
}

TEST(StopSignalsTest, TheFirstSignalRemovesTheLineThatIsDrawn) {
  EXPECT_EQ(output_after_a_signal(true), "\r\x1b[K");
  EXPECT_EQ(output_after_a_signal(false), "");
}

}  // namespace
}  // namespace lockstep
