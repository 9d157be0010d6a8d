#include "tests/support/emulator/block.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "tests/support/emulator/account/account.h"
#include "tests/support/emulator/fiber.h"
#include "tests/support/emulator/happens_before.h"
#include "tests/support/emulator/stream.h"
#include "tests/support/emulator/warp.h"

namespace emulator {

BuiltIns built_ins;

namespace {

/// What a thread waits for: the block's barrier, or the lanes of a warp function.
struct Wait {
  Place place;
  bool barrier;
  int value;  ///< what __syncthreads_count() was given
  Exchange kind;
  unsigned mask;
  uint64_t bytes;
  int argument, width;
};

struct Thread {
  uint3 index;
  enum class State { runnable, waiting, returned } state = State::runnable;
  Wait wait;
  uint64_t result = 0;      ///< of the exchange or barrier that ended the wait
  bool has_waited = false;  ///< for the kernel before
  Fiber* fiber = nullptr;
};

#if defined(EMULATOR_THREAD_SANITIZER)
// It takes what happens on one fiber for ordered.
constexpr bool kFiberRunsSeveralThreads = false;
#else
constexpr bool kFiberRunsSeveralThreads = true;
#endif

bool same_place(const Place& a, const Place& b) {
  return a.line == b.line && (a.file == b.file || std::strcmp(a.file, b.file) == 0);
}

std::string describe(const Place& place) {
  return std::string(place.function) + " in " + place.file + ":" + std::to_string(place.line);
}

class Block {
 public:
  void run(dim3 size, const std::function<void()>& body, const std::string& kernel) {
    kernel_ = &kernel;
    body_ = &body;
    begin(size);
    release(&began_);
    size_t fibers = 0;
    while (started_ < order_.size()) {
      if (fibers == fibers_.size()) fibers_.push_back(std::make_unique<Fiber>());
      Fiber* const fiber = fibers_[fibers++].get();
      fiber->start([this, fiber] { run_threads(fiber); });
      fiber->resume();
    }
    for (unsigned warp = 0; warp * kWarp < count_; ++warp) release_warp(warp);
    while (choose_threads()) {
      shuffle(order_);
      for (const unsigned thread : order_) {
        enter(thread);
        threads_[thread].fiber->resume();
      }
      release_warp(current_ / kWarp);  // the others still wait for what they waited for
    }
    acquire(&ended_);
    if (early_thread_)
      fail(name(*early_thread_) + " " + early_act_ +
           " before it waits for the kernel before: wait_for_previous_kernel() must come first");
  }

  void wait_for_previous_grid() { built_ins.has_waited = threads_[current_].has_waited = true; }

  /// For the thread that runs. Reported when the block has ended, because a thread's stack is no place to
  /// throw from.
  void require_waited(const char* act) {
    if (built_ins.has_waited || early_thread_) return;
    early_thread_ = current_;
    early_act_ = act;
  }

  uint64_t wait(const Wait& wait) {
    require_waited("synchronizes with others");
    Thread& thread = threads_[current_];
    thread.wait = wait;
    thread.state = Thread::State::waiting;
    // Lanes that exchange values are ordered among themselves only.
    char* const meeting = wait.barrier ? &barrier_ : &warps_[current_ / kWarp];
    release(meeting);
    thread.fiber->pause();
    acquire(meeting);
    return thread.result;
  }

 private:
  void begin(dim3 size) {
    early_thread_.reset();
    count_ = size.x * size.y * size.z;
    started_ = 0;
    runnable_.fill(0);
    threads_.resize(count_);
    order_.resize(count_);
    for (unsigned i = 0; i < count_; ++i) {
      threads_[i] = {};
      threads_[i].index = {i % size.x, i / size.x % size.y, i / size.x / size.y};
      order_[i] = i;
    }
    if (!account::kEnabled) shuffle(order_);
  }

  static void shuffle(std::vector<unsigned>& order) {
    for (size_t i = order.size(); i > 1; --i)
      std::swap(order[i - 1], order[random_below(static_cast<unsigned>(i))]);
  }

  /// On a fiber: threads that have not begun, one after the other, until one waits. Another fiber then takes
  /// the next, so that a kernel without barriers is switched to only once.
  void run_threads(Fiber* fiber) {
    do {
      const unsigned thread = order_[started_++];
      threads_[thread].fiber = fiber;
      enter(thread);
      acquire(&began_);
      (*body_)();
      require_waited("returns");
      release(&ended_);
      threads_[thread].state = Thread::State::returned;
    } while (kFiberRunsSeveralThreads && started_ < order_.size());
  }

  void enter(unsigned thread) {
    current_ = thread;
    built_ins.thread = threads_[thread].index;
    built_ins.has_waited = threads_[thread].has_waited;
    account::enter_thread(thread);
  }

  /// Puts into order_ the threads of one warp that can go on; false when all have returned. Mostly the warp
  /// that ran last, so that warps get far ahead of each other and overwrite what others have yet to read.
  bool choose_threads() {
    if (runnable_count() == 0 && !release_barrier()) return false;
    unsigned warp = current_ / kWarp;
    if (random_below(4) == 0 || runnable_[warp] == 0) {
      unsigned place = random_below(runnable_count());
      for (warp = 0; place >= lanes_in(runnable_[warp]); ++warp) place -= lanes_in(runnable_[warp]);
    }
    order_.clear();
    for (unsigned lanes = std::exchange(runnable_[warp], 0); lanes != 0; lanes &= lanes - 1)
      order_.push_back(warp * kWarp + static_cast<unsigned>(std::countr_zero(lanes)));
    return true;
  }

  static unsigned lanes_in(unsigned mask) { return static_cast<unsigned>(std::popcount(mask)); }
  unsigned runnable_count() const {
    unsigned count = 0;
    for (unsigned warp = 0; warp * kWarp < count_; ++warp) count += lanes_in(runnable_[warp]);
    return count;
  }

  void let_go_on(unsigned thread) {
    threads_[thread].state = Thread::State::runnable;
    runnable_[thread / kWarp] |= 1u << thread % kWarp;
  }

  [[noreturn]] void fail(const std::string& what) {
    acquire(&ended_);
    acquire(&barrier_);
    for (char& warp : warps_) acquire(&warp);
    const uint3 block = built_ins.block;
    throw std::runtime_error("kernel " + *kernel_ + ", block (" + std::to_string(block.x) + ", " +
                             std::to_string(block.y) + ", " + std::to_string(block.z) + "): " + what);
  }

  std::string name(unsigned thread) const {
    const uint3 i = threads_[thread].index;
    return "thread (" + std::to_string(i.x) + ", " + std::to_string(i.y) + ", " + std::to_string(i.z) + ")";
  }

  /// Lets go on every group of the warp's lanes that has come together.
  void release_warp(unsigned warp) {
    const unsigned first = warp * kWarp;
    for (unsigned lane = 0; lane < std::min(kWarp, count_ - first); ++lane) {
      const Thread& thread = threads_[first + lane];
      if (thread.state == Thread::State::waiting && !thread.wait.barrier) try_exchange(first, lane);
    }
  }

  /// The exchange that this lane waits for, if all lanes it names wait for the same.
  void try_exchange(unsigned first, unsigned lane) {
    const Wait& wait = threads_[first + lane].wait;
    if ((wait.mask >> lane & 1) == 0)
      fail(name(first + lane) + " is not in the mask of its own " + describe(wait.place));
    for (unsigned other = 0; other < kWarp; ++other) {
      if (!takes_part(first, other, wait.mask)) continue;
      const Thread& thread = threads_[first + other];
      if (thread.state != Thread::State::waiting || thread.wait.barrier ||
          !same_place(thread.wait.place, wait.place))
        return;  // not yet
      if (thread.wait.mask != wait.mask)
        fail(name(first + lane) + " and " + name(first + other) + " give different masks to " +
             describe(wait.place));
    }
    complete_exchange(first, wait);
  }

  /// Lanes that have returned are not waited for.
  bool takes_part(unsigned first, unsigned lane, unsigned mask) const {
    return (mask >> lane & 1) != 0 && first + lane < count_ &&
           threads_[first + lane].state != Thread::State::returned;
  }

  void complete_exchange(unsigned first, const Wait& wait) {
    unsigned votes = 0, lanes = 0;
    std::array<uint64_t, kWarp>& bytes = gathered_[first / kWarp];
    for (unsigned lane = 0; lane < kWarp; ++lane) {
      if (!takes_part(first, lane, wait.mask)) continue;
      lanes |= 1u << lane;
      bytes[lane] = threads_[first + lane].wait.bytes;
      if (bytes[lane] != 0) votes |= 1u << lane;
    }
    if (wait.kind == Exchange::gather || wait.kind == Exchange::matrix) require_whole_warp(lanes, wait);
    if (wait.kind == Exchange::matrix) check_matrix(first, bytes, wait);
    for (unsigned lane = 0; lane < kWarp; ++lane) {
      if ((lanes >> lane & 1) == 0) continue;
      Thread& thread = threads_[first + lane];
      if (wait.kind == Exchange::ballot) {
        thread.result = votes;
      } else if (wait.kind == Exchange::gather) {
        thread.result = reinterpret_cast<uint64_t>(bytes.data());
      } else if (wait.kind != Exchange::sync && wait.kind != Exchange::matrix) {
        const Wait& own = thread.wait;
        const unsigned source = source_lane(lane, own.kind, own.argument, own.width);
        if ((lanes >> source & 1) == 0)
          fail(name(first + lane) + " asks " + describe(wait.place) + " for lane " + std::to_string(source) +
               ", which the mask does not name or which has returned");
        thread.result = threads_[first + source].wait.bytes;
      }
      let_go_on(first + lane);
    }
  }

  void require_whole_warp(unsigned lanes, const Wait& wait) {
    if (lanes != 0xffffffffu)
      fail(describe(wait.place) + " needs all 32 lanes of a warp, but has " +
           std::to_string(__builtin_popcount(lanes)));
  }

  /// The lanes' MatrixAccess.
  void check_matrix(unsigned first, const std::array<uint64_t, kWarp>& accesses, const Wait& wait) {
    const auto access = [&](unsigned lane) -> const MatrixAccess& {
      return *reinterpret_cast<const MatrixAccess*>(accesses[lane]);
    };
    for (unsigned lane = 1; lane < kWarp; ++lane)
      if (access(lane) != access(0))
        fail(name(first) + " and " + name(first + lane) + " give different matrices to " +
             describe(wait.place));
    const std::string mistake = matrix_mistake(access(0));
    if (!mistake.empty()) fail(describe(wait.place) + " is given " + mistake);
  }

  /// Nothing can run on: all threads are at one barrier or have returned, or somebody waits in vain. Whether
  /// threads were let go.
  bool release_barrier() {
    unsigned waiting = 0, first = 0;
    for (unsigned i = count_; i-- > 0;) {
      if (threads_[i].state != Thread::State::waiting) continue;
      ++waiting;
      first = i;
    }
    if (waiting == 0) return false;
    const Wait& wait = threads_[first].wait;
    for (unsigned i = 0; i < count_; ++i)
      if (threads_[i].state == Thread::State::waiting && !same_place(threads_[i].wait.place, wait.place))
        fail("the threads have diverged: " + name(first) + " waits at " + describe(wait.place) + ", " +
             name(i) + " at " + describe(threads_[i].wait.place));
    for (unsigned i = 0; i < count_; ++i)
      if (threads_[i].state == Thread::State::returned)
        fail(name(first) + " and " + std::to_string(waiting - 1) + " more wait at " + describe(wait.place) +
             ", but " + name(i) + " has returned");
    uint64_t count = 0;
    for (unsigned i = 0; i < count_; ++i) count += static_cast<uint64_t>(threads_[i].wait.value);
    for (unsigned i = 0; i < count_; ++i) {
      threads_[i].result = count;
      let_go_on(i);
    }
    return true;
  }

  std::vector<std::unique_ptr<Fiber>> fibers_;   ///< kept from block to block, because stacks are dear
  const std::function<void()>* body_ = nullptr;  ///< what each thread runs
  std::vector<Thread> threads_;
  std::array<unsigned, 1024 / kWarp> runnable_{};  ///< of each warp, the lanes that can go on
  std::vector<unsigned> order_;                    ///< in which threads run next
  size_t started_ = 0;                             ///< of order_, threads that have begun
  unsigned count_ = 0, current_ = 0;
  std::optional<unsigned> early_thread_;  ///< the first that did not wait for the kernel before, and
  const char* early_act_ = "";            ///< what it did instead
  const std::string* kernel_ = nullptr;   ///< its name
  // Their addresses stand for what orders threads.
  char began_ = 0, ended_ = 0, barrier_ = 0;
  std::array<char, 1024 / kWarp> warps_{};
  std::array<std::array<uint64_t, kWarp>, 1024 / kWarp> gathered_{};  ///< what the lanes gave an exchange
};

/// The one block that runs.
Block& block() {
  static Block the_block;
  return the_block;
}

}  // namespace

void run_block(uint3 index, dim3 block_size, dim3 grid_size, const std::function<void()>& body,
               const std::string& kernel) {
  built_ins.block = index;
  built_ins.block_size = block_size;
  built_ins.grid_size = grid_size;
  block().run(block_size, body, kernel);
}

void wait_for_previous_grid() { block().wait_for_previous_grid(); }

void require_waited(const char* act) { block().require_waited(act); }

void sync_threads(Place place) { sync_threads_count(place, 0); }

int sync_threads_count(Place place, int value) {
  return static_cast<int>(
      block().wait({place, true, value, Exchange::sync, 0, 0, 0, static_cast<int>(kWarp)}));
}

uint64_t exchange(Place place, Exchange kind, unsigned mask, uint64_t bytes, int argument, int width) {
  return block().wait({place, false, 0, kind, mask, bytes, argument, width});
}

}  // namespace emulator
