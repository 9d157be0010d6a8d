#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace lockstep {

/// libhdf5 can crash, hang or exhaust memory on a damaged or malicious file. A probe examines files in a
/// child process, a spawned copy of this program (not a fork, which MPI forbids), with limits on memory and
/// on the time without progress; whatever happens there becomes an Error here.

/// Examines every file as open_dataset will: opens it and each data set in `names`, walks its chunk index and
/// reads its first and last value, or all values if libhdf5 decodes the chunks. Throws Error(data) with what
/// the child found, or if it crashed or exceeded a limit. seconds: how long it may run without progress.
/// Returns warnings, one sentence each (hdf5::Sources).
std::vector<std::string> probe_files(const std::vector<std::string>& files,
                                     const std::vector<std::string>& names, double seconds = 20);

/// Runs one task of run_probe() in a child and returns its answer. task: "look", "describe", "check" or
/// "checkpoint".
/// progress: called several times a second with bytes of values read, if the task reports them.
/// Throws as probe_files does.
nlohmann::json run_in_probe(const std::string& task, const std::vector<std::string>& files,
                            const std::vector<std::string>& names, double seconds,
                            const std::function<void(int64_t done, int64_t all)>& progress = nullptr);

/// In a child: reports progress, which restarts its time limit. Elsewhere: no effect.
void note_probe_progress();
/// The same, with bytes of values read of `all`.
void note_probe_work(int64_t done, int64_t all);
/// In a child: raises the memory limit by `bytes`, for a chunk that has to be decoded as a whole. Elsewhere:
/// no effect.
void allow_probe_memory(size_t bytes);

/// The child's side. main() must call it before anything else, especially MPI:
///   if (const auto code = run_probe(argc, argv)) return *code;
/// Returns nothing unless this process was started as a probe; a probe does its task, prints the answer and
/// ends the process.
std::optional<int> run_probe(int argc, char** argv);

/// The program to spawn, which must call run_probe() as above. Default: /proc/self/exe. For tests.
void set_probe_program(const std::string& path);

}  // namespace lockstep
