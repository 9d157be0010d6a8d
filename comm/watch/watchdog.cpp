#include "comm/watch/watchdog.h"

#include <mpi.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "comm/collectives/mpi_check.h"
#include "comm/collectives/world.h"
#include "comm/watch/rank_table.h"
#include "comm/watch/verdict.h"
#include "src/core/activity.h"
#include "src/core/log.h"

namespace lockstep {

namespace {

using Seconds = std::chrono::duration<double>;
using Clock = std::chrono::steady_clock;

enum Tag {
  kStatus,    ///< a RankStatus
  kAllEnded,  ///< empty: every rank has left
  kJobEnds    ///< empty: the job ends with an error, which the sender prints
};

/// Seconds between two reports of a rank, so that rank 0 receives at most a thousand per second.
double interval_of(int ranks) { return std::max(0.25, ranks / 1000.0); }

/// Measures time by the ticks of the calling thread, so that time during which this process was stopped does
/// not count.
class TickClock {
 public:
  explicit TickClock(double longest) : longest_(longest) {}
  /// Seconds since the last call.
  double tick() {
    const Clock::time_point now = Clock::now();
    return std::min(longest_, Seconds(now - std::exchange(last_, now)).count());
  }

 private:
  double longest_;
  Clock::time_point last_ = Clock::now();
};

std::vector<RankPlace> gather_places(MPI_Comm comm, int size) {
  RankPlace mine;
  ::gethostname(mine.machine.data(), mine.machine.size() - 1);
  mine.process = ::getpid();
  std::vector<RankPlace> places(static_cast<size_t>(size));
  CHECK(MPI_Allgather(&mine, sizeof(RankPlace), MPI_BYTE, places.data(), sizeof(RankPlace), MPI_BYTE, comm));
  return places;
}

/// Who watches rank 0: the loss of its machine should not go unnoticed.
int watcher_of_rank_0(const std::vector<RankPlace>& places) {
  for (size_t rank = 1; rank < places.size(); ++rank)
    if (places[rank].machine != places[0].machine) return static_cast<int>(rank);
  return 1;
}

}  // namespace

struct Watchdog::Impl {
  Impl(World& the_world, double timeout_seconds)
      : world(the_world), timeout(timeout_seconds), interval(interval_of(the_world.size())) {
    CHECK(MPI_Comm_dup(MPI_COMM_WORLD, &comm));
    places = gather_places(comm, world.size());
    const int watcher = watcher_of_rank_0(places);
    reports_to = world.rank() == 0 ? watcher : 0;
    if (world.rank() == watcher) watched.push_back({.rank = 0, .status = {}});
    for (int rank = 0; world.rank() == 0 && rank < world.size(); ++rank)
      watched.push_back({.rank = rank, .status = {}});
    thread = std::thread([this] { run(); });
  }

  ~Impl() {
    const bool in_distress = std::uncaught_exceptions() > exceptions_at_start;
    {
      const std::scoped_lock lock(mutex);
      (in_distress ? stops : leaves) = true;
    }
    woken.notify_one();
    thread.join();
    if (!in_distress) MPI_Comm_free(&comm);
  }

  void run() {
    try {
      watch();
    } catch (const std::exception& error) {
      // With valid arguments, messages of a few bytes fail only if the network does.
      log_error("the watchdog lost the other ranks: {}", error.what());
      world.abort(static_cast<int>(ExitCode::lost));
    }
  }

  /// Returns when all ranks have left.
  void watch() {
    TickClock clock(4 * interval);
    uint64_t progress = 0;
    double stuck = 0, pause = interval;
    for (;;) {
      if (!wait(pause)) return;
      const double passed = clock.tick();
      const Activity::Snapshot now = activity().snapshot();
      stuck = now.progress == std::exchange(progress, now.progress) ? stuck + passed : 0;
      RankStatus mine = make_status(now, stuck);
      if (left) mine.phase = Phase::ended;
      for (RankState& state : watched) state.silent_seconds += passed;
      if (world.rank() == 0) watched[0] = {.rank = 0, .status = mine};
      send(mine);
      if (!receive()) return;
      if (world.rank() == 0 && std::ranges::all_of(watched, [](const RankState& state) {
            return state.status.phase == Phase::ended;
          })) {
        tell_all(kAllEnded);
        return;
      }
      if (const auto verdict = world.rank() == 0 ? judge(watched, timeout) : judge_silence(watched, timeout))
        end(*verdict);
      // At the end, ranks should not wait for each other's next report.
      pause = left ? 0.002 : interval;
    }
  }

  /// Waits until the next report is due, or this rank leaves; false: stop without a report.
  bool wait(double seconds) {
    std::unique_lock lock(mutex);
    woken.wait_for(lock, Seconds(seconds), [this] { return stops || (leaves && !left); });
    left = leaves;
    return !stops;
  }

  /// Never blocks: sends nothing while the last report is still in transit.
  void send(const RankStatus& status) {
    if (said_farewell) return;
    int sent = 0;
    CHECK(MPI_Test(&sending, &sent, MPI_STATUS_IGNORE));
    if (sent == 0) return;
    outgoing = status;
    CHECK(MPI_Isend(&outgoing, sizeof outgoing, MPI_BYTE, reports_to, kStatus, comm, &sending));
    said_farewell = status.phase == Phase::ended;
  }

  /// Receives all messages that have arrived; false: every rank has left.
  bool receive() {
    for (;;) {
      int arrived = 0;
      MPI_Status envelope;
      CHECK(MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, comm, &arrived, &envelope));
      if (arrived == 0) return true;
      RankStatus status;
      CHECK(MPI_Recv(&status, sizeof status, MPI_BYTE, envelope.MPI_SOURCE, envelope.MPI_TAG, comm,
                     MPI_STATUS_IGNORE));
      if (envelope.MPI_TAG == kAllEnded) {
        CHECK(MPI_Wait(&sending, MPI_STATUS_IGNORE));  // its receiver has it
        return false;
      }
      if (envelope.MPI_TAG == kJobEnds) leave_with_the_job();
      const int source = envelope.MPI_SOURCE;
      watched[world.rank() == 0 ? static_cast<size_t>(source) : 0] = {.rank = source, .status = status};
    }
  }

  void tell_all(Tag tag) {
    for (int rank = 0; rank < world.size(); ++rank) {
      if (rank == world.rank()) continue;
      MPI_Request request = MPI_REQUEST_NULL;
      CHECK(MPI_Isend(nullptr, 0, MPI_BYTE, rank, tag, comm, &request));
      CHECK(MPI_Request_free(&request));
    }
  }

  /// MPI_Abort ends stopped ranks too, but with some launchers not all other ranks; hence the message to
  /// them.
  [[noreturn]] void end(const Verdict& verdict) {
    end_process_soon(static_cast<int>(ExitCode::lost));
    log_warning("the run hangs. What each rank is doing:\n{}", rank_table(watched, places, verdict.culprits));
    log_error("{}", verdict.reason);
    tell_all(kJobEnds);
    world.abort(static_cast<int>(ExitCode::lost));
  }

  /// Lets the launcher end this rank first: its message about a rank that exits by itself is useless.
  [[noreturn]] void leave_with_the_job() {
    std::this_thread::sleep_for(Seconds(2));
    std::_Exit(static_cast<int>(ExitCode::lost));
  }

  World& world;
  const double timeout;
  const double interval;
  const int exceptions_at_start = std::uncaught_exceptions();
  MPI_Comm comm = MPI_COMM_NULL;
  std::vector<RankPlace> places;
  int reports_to = 0;

  // Used only by the thread.
  std::vector<RankState> watched;  ///< on rank 0 all ranks, on its watcher rank 0
  RankStatus outgoing;
  MPI_Request sending = MPI_REQUEST_NULL;
  bool left = false, said_farewell = false;

  std::mutex mutex;  // guards the two below
  std::condition_variable woken;
  bool leaves = false;  ///< this rank leaves the training
  bool stops = false;   ///< during stack unwinding
  std::thread thread;
};

Watchdog::Watchdog(World& world, double timeout_seconds) {
  if (world.size() > 1 && timeout_seconds > 0) impl_ = std::make_unique<Impl>(world, timeout_seconds);
}

Watchdog::~Watchdog() = default;

}  // namespace lockstep
