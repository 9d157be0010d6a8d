#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "comm/collectives/communicator.h"

namespace lockstep::test {

/// What goes wrong on one rank when it starts its collective number `at`, from 0.
struct Fault {
  enum class Kind {
    delay,      ///< it comes later by `delay`, or once all others have given up
    death,      ///< it throws Error(lost) and takes part in nothing more
    corruption  ///< one bit of its result changes, and the others' do not
  };
  Kind kind = Kind::delay;
  int rank = 0;
  int64_t at = 0;
  std::chrono::milliseconds delay{};
  int64_t element = 0;  ///< of the collective's data
  int bit = 30;         ///< of the float
};

/// Ranks that are threads of one process. Their collectives are the algorithms of comm/ over messages between
/// threads, in host memory.
class ThreadRanks {
 public:
  struct Options {
    bool reproducible = false;
    int ranks_per_node = 0;
    std::vector<Fault> faults = {};
    /// A rank that waits longer for another throws Error(lost) that names it.
    std::chrono::milliseconds timeout{60000};
  };
  ThreadRanks(int size, const Options& options);
  ~ThreadRanks();

  int size() const;
  /// Calls work(rank, communicator) on a thread a rank and waits for all. Returns what each has thrown.
  std::vector<std::exception_ptr> run(
      const std::function<void(int rank, std::unique_ptr<Communicator> communicator)>& work);
  /// The same; rethrows the lowest rank's exception.
  void run_all(const std::function<void(int rank, std::unique_ptr<Communicator> communicator)>& work);

  /// The most floats that one rank has sent, in units of 4 bytes.
  int64_t max_sent() const;
  /// The most exchanges that one rank has taken part in, one after the other.
  int64_t max_exchanges() const;

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace lockstep::test
