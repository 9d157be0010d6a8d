#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace lockstep {

/// libhdf5 can crash, hang or devour memory on a damaged or hostile file. A probe looks at files in a child
/// process, a spawned copy of this program (never a fork, which MPI forbids), with limits on memory and on
/// the time without progress; whatever happens there becomes an Error here.

/// Looks at every file as open_dataset will: opens it and each data set in `names`, walks its chunk index and
/// reads its first and last value, or all of them where libhdf5 decodes the chunks. Throws Error(data): what
/// the child found, or that it crashed or passed a limit. seconds: how long it may take without
/// progress. Returns what to warn of, a sentence each (hdf5::Sources).
std::vector<std::string> probe_files(const std::vector<std::string>& files,
                                     const std::vector<std::string>& names, double seconds = 20);

/// Runs one task of run_probe() in a child and returns its answer. task: "look", "describe", "check" or
/// "checkpoint".
/// Throws as probe_files does.
nlohmann::json run_in_probe(const std::string& task, const std::vector<std::string>& files,
                            const std::vector<std::string>& names, double seconds);

/// In a child: another piece of the work is done, so that its time begins anew. Nothing elsewhere.
void note_probe_progress();
/// In a child: the work needs `bytes` more than the limit on its memory, for a chunk that has to be decoded
/// whole. Nothing elsewhere.
void allow_probe_memory(size_t bytes);

/// The child's side. main() calls it before anything else, MPI above all:
///   if (const auto code = run_probe(argc, argv)) return *code;
/// Does nothing and returns nothing unless this process was started as a probe; else it looks, answers and
/// ends the process.
std::optional<int> run_probe(int argc, char** argv);

/// The program to spawn, which must call run_probe() as above. Default: /proc/self/exe. For tests.
void set_probe_program(const std::string& path);

}  // namespace lockstep
