#pragma once

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include <sys/types.h>

namespace lockstep {

inline std::string contents(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

/// The parent of a process; 0: there is no such process.
inline pid_t parent_of(pid_t process) {
  const std::string status = contents("/proc/" + std::to_string(process) + "/status");
  const size_t parent = status.find("PPid:");
  return parent == std::string::npos ? 0 : std::stoi(status.substr(parent + 5));
}

/// Whether a signal is in a set of /proc/PROCESS/status.
inline bool is_in_signal_set(pid_t process, const std::string& set, int signal) {
  const std::string status = contents("/proc/" + std::to_string(process) + "/status");
  const size_t at = status.find(set);
  return at != std::string::npos &&
         (std::stoull(status.substr(at + set.size()), nullptr, 16) >> (signal - 1) & 1) != 0;
}
/// Whether a signal has reached a process, which has not taken it yet.
inline bool signal_is_pending(pid_t process, int signal) {
  return is_in_signal_set(process, "ShdPnd:", signal);
}
/// Whether a process has a function for a signal.
inline bool catches_signal(pid_t process, int signal) { return is_in_signal_set(process, "SigCgt:", signal); }

/// The processes whose command line holds `mark` and whose environment holds `variable`, if it is not empty.
inline std::set<pid_t> find_processes(const std::string& mark, const std::string& variable = "") {
  std::set<pid_t> found;
  std::error_code gone;  // processes end while this looks at them
  for (std::filesystem::directory_iterator at("/proc", gone), end; at != end; at.increment(gone)) {
    const std::string name = at->path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    if (contents(at->path() / "cmdline").find(mark) == std::string::npos) continue;
    if (contents(at->path() / "environ").find(variable) == std::string::npos) continue;
    found.insert(std::stoi(name));
  }
  return found;
}

/// The process that is a rank of the run whose command line holds `mark`; 0: there is none. Its parent
/// supervises it, and that one's parent is mpirun.
inline pid_t find_rank(int rank, const std::string& mark) {
  const std::string variable = "OMPI_COMM_WORLD_RANK=" + std::to_string(rank) + '\0';
  const std::set<pid_t> found = find_processes(mark, variable);
  std::set<pid_t> parents;
  for (const pid_t process : found) parents.insert(parent_of(process));
  // The process that mpirun started waits for the rank, its child.
  for (const pid_t process : found)
    if (!parents.contains(process)) return process;
  return 0;
}

}  // namespace lockstep
