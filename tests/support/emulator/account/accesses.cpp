// Sees the accesses of kernels: they are compiled with -fsanitize=thread, which puts a call before each
// access of memory, and these are the functions that it calls. ThreadSanitizer itself is not linked.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "tests/support/emulator/account/counts.h"
#include "tests/support/emulator/account/memory.h"
#include "tests/support/emulator/account/sectors.h"
#include "tests/support/emulator/account/tsan_calls.h"
#include "tests/support/emulator/block.h"
#include "tests/support/emulator/warp.h"

namespace emulator::account {

namespace {

/// An instruction of a thread that accesses global memory.
struct Access {
  uint32_t instruction;  ///< the last bits of its address, and whether it writes
  uint32_t sector;
};
constexpr uint32_t kWrites = uint32_t{1} << 31;
/// What a thread accesses with one instruction.
constexpr size_t kWidest = 16;

using Log = std::vector<Access>;

struct State {
  uintptr_t memory = 0;
  std::vector<Log> logs{1024};  ///< of the threads of a block, each in its own order
  Log* log = nullptr;           ///< of the thread that runs; null: no block does
  unsigned threads = 0;
  std::vector<std::pair<uintptr_t, size_t>> shared;
  uint64_t shared_accesses = 0, fused_operations = 0, matrix_operations = 0, work = 0;
  struct Sets {
    SectorSet read, written;
  };
  Sets launch, block;
};

State& state() {
  static State* const the_state = new State();
  return *the_state;
}
State* running = nullptr;  ///< null while no launch is counted

[[gnu::noinline]] void note_elsewhere(uintptr_t address) {
  for (const auto& [begin, bytes] : running->shared)
    if (address - begin < bytes) ++running->shared_accesses;
}

void note(const void* pointer, size_t bytes, bool writes, const void* instruction) {
  State* const s = running;
  if (s == nullptr || s->log == nullptr) return;
  ++s->work;
  const auto address = reinterpret_cast<uintptr_t>(pointer);
  const uintptr_t first = address - s->memory;
  if (first >= kMemoryBytes) return note_elsewhere(address);
  if (!built_ins.has_waited) require_waited("accesses memory");
  const uint32_t key = (static_cast<uint32_t>(reinterpret_cast<uintptr_t>(instruction)) & (kWrites - 1)) |
                       (writes ? kWrites : 0);
  // A struct that is wider than what an instruction accesses takes several.
  for (uintptr_t at = first; at < first + bytes; at += kWidest)
    s->log->push_back({key, static_cast<uint32_t>(at / kSectorBytes)});
}

/// Adds up the accesses of a warp's threads.
class Warp {
 public:
  explicit Warp(State& state) : block_(state.block) {}

  /// The sectors of all its accesses.
  uint64_t count(std::span<const Log> threads) {
    const Log& longest = *std::max_element(threads.begin(), threads.end(),
                                           [](const Log& a, const Log& b) { return a.size() < b.size(); });
    const bool together = std::all_of(threads.begin(), threads.end(), [&](const Log& log) {
      return std::equal(log.begin(), log.end(), longest.begin(),
                        [](const Access& a, const Access& b) { return a.instruction == b.instruction; });
    });
    if (!together) return count_diverged(threads);
    uint64_t sectors = 0;
    for (size_t i = 0; i < longest.size(); ++i) {
      size_t lanes = 0;
      for (const Log& log : threads)
        if (i < log.size()) sectors_[lanes++] = log[i].sector;
      sectors += count_access(longest[i].instruction, lanes);
    }
    return sectors;
  }

 private:
  /// Of threads that take different paths, those accesses are one that the same instruction makes for the
  /// same time.
  uint64_t count_diverged(std::span<const Log> threads) {
    struct WarpAccess {
      size_t lanes = 0;
      std::array<uint32_t, kWarp> sectors{};
    };
    struct Instruction {
      uint32_t instruction;
      size_t time = 0;  ///< how many times the current lane has been here
      std::vector<WarpAccess> accesses = {};
    };
    std::vector<Instruction> instructions;
    std::unordered_map<uint32_t, size_t> known;
    for (const Log& log : threads) {
      for (Instruction& each : instructions) each.time = 0;
      for (const Access& access : log) {
        const auto [found, is_new] = known.try_emplace(access.instruction, instructions.size());
        if (is_new) instructions.push_back({access.instruction});
        Instruction& instruction = instructions[found->second];
        if (instruction.time == instruction.accesses.size()) instruction.accesses.emplace_back();
        WarpAccess& all = instruction.accesses[instruction.time++];
        all.sectors[all.lanes++] = access.sector;
      }
    }
    uint64_t sectors = 0;
    for (const Instruction& each : instructions)
      for (const WarpAccess& access : each.accesses) {
        sectors_ = access.sectors;
        sectors += count_access(each.instruction, access.lanes);
      }
    return sectors;
  }

  /// The distinct sectors of one access, the first `lanes` of sectors_.
  uint64_t count_access(uint32_t instruction, size_t lanes) {
    if (!std::is_sorted(sectors_.begin(), sectors_.begin() + static_cast<std::ptrdiff_t>(lanes)))
      std::sort(sectors_.begin(), sectors_.begin() + static_cast<std::ptrdiff_t>(lanes));
    SectorSet& set = (instruction & kWrites) != 0 ? block_.written : block_.read;
    uint64_t distinct = 0;
    for (size_t lane = 0; lane < lanes; ++lane) {
      if (lane > 0 && sectors_[lane] == sectors_[lane - 1]) continue;
      ++distinct;
      set.insert(sectors_[lane]);
    }
    return distinct;
  }

  State::Sets& block_;
  std::array<uint32_t, kWarp> sectors_{};
};

uint64_t touch_all(SectorSet& launch, SectorSet& block, Touch touch, uint64_t& own) {
  uint64_t added = 0;
  block.for_each([&](uint32_t sector) {
    ++own;
    if (touch == Touch::new_sectors && launch.insert(sector)) ++added;
  });
  block.clear();
  return added;
}

}  // namespace

void begin_launch(std::span<const std::span<std::byte>> shared) {
  running = &state();
  running->memory = reinterpret_cast<uintptr_t>(memory_begin());
  running->shared.clear();
  for (const std::span<std::byte> part : shared)
    running->shared.emplace_back(reinterpret_cast<uintptr_t>(part.data()), part.size());
}

void begin_block(unsigned threads) {
  State& s = state();
  s.threads = threads;
  for (unsigned i = 0; i < threads; ++i) s.logs[i].clear();
  s.shared_accesses = s.fused_operations = s.matrix_operations = s.work = 0;
}

void enter_thread(unsigned thread) {
  if (running != nullptr) running->log = &running->logs[thread];
}

Counts end_block(Touch touch) {
  State& s = state();
  s.log = nullptr;
  Counts counts;
  Warp warp(s);
  for (unsigned first = 0; first < s.threads; first += kWarp)
    counts.accessed += warp.count({s.logs.data() + first, std::min(kWarp, s.threads - first)});
  counts.new_read = touch_all(s.launch.read, s.block.read, touch, counts.own_read);
  counts.new_written = touch_all(s.launch.written, s.block.written, touch, counts.own_written);
  counts.shared_accesses = s.shared_accesses;
  counts.fused_operations = s.fused_operations;
  counts.matrix_operations = s.matrix_operations;
  counts.work = s.work + counts.accessed;
  return counts;
}

void end_launch() {
  state().launch.read.clear();
  state().launch.written.clear();
  running = nullptr;
}

float counted_fmaf(float a, float b, float c) {
  if (running != nullptr) ++running->fused_operations;
  return __builtin_fmaf(a, b, c);
}

void count_matrix_product(unsigned products) {
  if (running != nullptr) running->matrix_operations += products;
}

}  // namespace emulator::account

using emulator::account::note;

extern "C" {

#define CALLER __builtin_return_address(0)
#define DEFINE_ACCESSES(bytes)                                                              \
  void __tsan_read##bytes(void* address) { note(address, bytes, false, CALLER); }           \
  void __tsan_write##bytes(void* address) { note(address, bytes, true, CALLER); }           \
  void __tsan_volatile_read##bytes(void* address) { note(address, bytes, false, CALLER); }  \
  void __tsan_volatile_write##bytes(void* address) { note(address, bytes, true, CALLER); }  \
  void __tsan_unaligned_read##bytes(void* address) { note(address, bytes, false, CALLER); } \
  void __tsan_unaligned_write##bytes(void* address) { note(address, bytes, true, CALLER); }
// An atomic operation reads and writes.
#define DEFINE_ATOMICS(bits, Type)                                                                           \
  Type __tsan_atomic##bits##_load(const volatile Type* address, int) {                                       \
    note(const_cast<const Type*>(address), sizeof(Type), false, CALLER);                                     \
    return *address;                                                                                         \
  }                                                                                                          \
  void __tsan_atomic##bits##_store(volatile Type* address, Type value, int) {                                \
    note(const_cast<const Type*>(address), sizeof(Type), true, CALLER);                                      \
    *address = value;                                                                                        \
  }                                                                                                          \
  int __tsan_atomic##bits##_compare_exchange_weak(volatile Type* address, Type* expected, Type value, int,   \
                                                  int) {                                                     \
    note(const_cast<const Type*>(address), sizeof(Type), true, CALLER);                                      \
    const bool equal = *address == *expected;                                                                \
    if (equal)                                                                                               \
      *address = value;                                                                                      \
    else                                                                                                     \
      *expected = *address;                                                                                  \
    return equal ? 1 : 0;                                                                                    \
  }                                                                                                          \
  int __tsan_atomic##bits##_compare_exchange_strong(volatile Type* address, Type* expected, Type value, int, \
                                                    int) {                                                   \
    return __tsan_atomic##bits##_compare_exchange_weak(address, expected, value, 0, 0);                      \
  }

DEFINE_ACCESSES(1)
DEFINE_ACCESSES(2)
DEFINE_ACCESSES(4)
DEFINE_ACCESSES(8)
DEFINE_ACCESSES(16)
DEFINE_ATOMICS(32, unsigned)
DEFINE_ATOMICS(64, unsigned long)
void __tsan_read_range(void* address, size_t bytes) { note(address, bytes, false, CALLER); }
void __tsan_write_range(void* address, size_t bytes) { note(address, bytes, true, CALLER); }
void __tsan_atomic_thread_fence(int) {}
// Of the guard of a static variable, as which shared memory is compiled.
unsigned char __tsan_atomic8_load(const volatile unsigned char* address, int) {
  return __atomic_load_n(address, __ATOMIC_ACQUIRE);
}
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void*, void*) {}
void __tsan_vptr_read(void*) {}

}  // extern "C"
