#include "tests/support/thread_communicator.h"

#include <algorithm>
#include <bit>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <limits>
#include <mutex>
#include <thread>

#include "comm/collectives/collectives.h"
#include "comm/collectives/wire.h"
#include "src/core/error.h"
#include "src/device/elementwise.h"

namespace lockstep::test {

struct ThreadRanks::Shared {
  Shared(int size_, Options options_)
      : size(size_),
        options(std::move(options_)),
        boxes(static_cast<size_t>(size) * static_cast<size_t>(size)),
        gone(static_cast<size_t>(size)),
        sent(static_cast<size_t>(size)),
        exchanges(static_cast<size_t>(size)) {}

  std::deque<std::vector<std::byte>>& box(int from, int to) {
    return boxes[static_cast<size_t>(from) * static_cast<size_t>(size) + static_cast<size_t>(to)];
  }

  void count_exchange(int rank) {
    const std::scoped_lock lock(mutex);
    ++exchanges[static_cast<size_t>(rank)];
  }

  void send(int from, int to, std::span<const std::byte> message) {
    const std::scoped_lock lock(mutex);
    box(from, to).emplace_back(message.begin(), message.end());
    sent[static_cast<size_t>(from)] += static_cast<int64_t>(message.size());
    changed.notify_all();
  }

  void receive(int from, int to, std::span<std::byte> message) {
    std::unique_lock lock(mutex);
    auto& messages = box(from, to);
    const bool in_time = changed.wait_for(
        lock, options.timeout, [&] { return !messages.empty() || gone[static_cast<size_t>(from)]; });
    if (!in_time) fail(ExitCode::lost, "rank {} waited too long for rank {}", to, from);
    if (messages.empty()) fail(ExitCode::lost, "rank {} waits for rank {}, which is gone", to, from);
    INVARIANT(messages.front().size() == message.size(), "rank {} sent {} bytes where rank {} expects {}",
              from, messages.front().size(), to, message.size());
    std::ranges::copy(messages.front(), message.begin());
    messages.pop_front();
  }

  /// Returns after `delay`, or as soon as all other ranks have left.
  void wait_for_leavers(std::chrono::milliseconds delay) {
    std::unique_lock lock(mutex);
    changed.wait_for(lock, delay, [&] { return std::ranges::count(gone, true) == size - 1; });
  }

  void leave(int rank) {
    const std::scoped_lock lock(mutex);
    gone[static_cast<size_t>(rank)] = true;
    changed.notify_all();
  }

  const int size;
  const Options options;
  std::mutex mutex;  // guards all below
  std::condition_variable changed;
  std::vector<std::deque<std::vector<std::byte>>> boxes;
  std::vector<bool> gone;
  std::vector<int64_t> sent;       ///< bytes, by rank
  std::vector<int64_t> exchanges;  ///< by rank
};

namespace {

/// Collectives' transport over messages between threads.
template <typename Shared>
struct ThreadTransport {
  static constexpr int64_t kWholeVectorElements = 256;
  Shared& shared;
  int own_rank;
  std::vector<float> memory = {};

  int rank() const { return own_rank; }
  int size() const { return shared.size; }
  std::span<float> scratch(int64_t elements) {
    memory.assign(static_cast<size_t>(elements), std::numeric_limits<float>::quiet_NaN());
    return memory;
  }
  void exchange(std::span<const Exchange> exchanges) {
    shared.count_exchange(own_rank);
    for (const Exchange& each : exchanges)
      if (!each.send.empty()) shared.send(own_rank, each.to, each.send);
    for (const Exchange& each : exchanges)
      if (!each.receive.empty()) shared.receive(each.from, own_rank, each.receive);
  }
  void add(std::span<float> destination, std::span<const float> source) {
    for (size_t i = 0; i < source.size(); ++i) destination[i] += source[i];
  }
  void add_tree(std::span<float> destination, const float* others, int count, int position) {
    lockstep::add_tree(Exec{}, destination.data(), others, static_cast<int64_t>(destination.size()), count,
                       position);
  }
  void narrow(Wire wire, std::span<const float> source, uint16_t* destination) {
    cpu::narrow(dtype_of(wire), source.data(), destination, static_cast<int64_t>(source.size()));
  }
  void add_narrow(Wire wire, std::span<float> destination, const uint16_t* source) {
    cpu::add_narrow(dtype_of(wire), source, destination.data(), static_cast<int64_t>(destination.size()));
  }
  void widen(Wire wire, std::span<float> destination, const uint16_t* source) {
    cpu::widen(dtype_of(wire), source, destination.data(), static_cast<int64_t>(destination.size()));
  }
  /// Every rank adds in the order of the ranks, as one that has received all.
  void all_reduce(std::span<float> data) {
    const std::vector<float> mine(data.begin(), data.end());
    std::vector<std::vector<float>> all(static_cast<size_t>(size()), mine);
    for (int distance = 1; distance < size(); ++distance) {
      const int to = (own_rank + distance) % size(), from = (own_rank + size() - distance) % size();
      const Exchange both{to, std::as_bytes(std::span(mine)), from,
                          std::as_writable_bytes(std::span(all[static_cast<size_t>(from)]))};
      exchange(std::span(&both, 1));
    }
    std::ranges::copy(all[0], data.begin());
    for (size_t other = 1; other < all.size(); ++other) add(data, all[other]);
  }
};

template <typename Shared>
class ThreadCommunicator : public Communicator {
 public:
  ThreadCommunicator(std::shared_ptr<Shared> shared, int rank)
      : shared_(std::move(shared)),
        transport_{*shared_, rank},
        collectives_(transport_, shared_->options.reproducible, shared_->options.ranks_per_node) {}

  int rank() const override { return transport_.own_rank; }
  int size() const override { return shared_->size; }
  Slice slice_of(int rank, int64_t elements) const override { return collectives_.slice_of(rank, elements); }
  void prepare(std::span<float>, int64_t) override {}
  void wait(Exec) override {}

  void start(Exec, const Collective& collective) override {
    const int64_t number = started_++;
    for (const Fault& fault : shared_->options.faults) {
      if (fault.rank != rank() || fault.at != number) continue;
      if (fault.kind == Fault::Kind::delay) shared_->wait_for_leavers(fault.delay);
      if (fault.kind == Fault::Kind::death) fail(ExitCode::lost, "rank {} dies", rank());
    }
    collectives_.run(collective);
    for (const Fault& fault : shared_->options.faults) {
      if (fault.rank != rank() || fault.at != number || fault.kind != Fault::Kind::corruption) continue;
      float& value = collective.data[static_cast<size_t>(fault.element)];
      value = std::bit_cast<float>(std::bit_cast<uint32_t>(value) ^ 1u << fault.bit);
    }
  }

 private:
  std::shared_ptr<Shared> shared_;
  ThreadTransport<Shared> transport_;
  Collectives<ThreadTransport<Shared>> collectives_;
  int64_t started_ = 0;
};

}  // namespace

ThreadRanks::ThreadRanks(int size, const Options& options)
    : shared_(std::make_shared<Shared>(size, options)) {}
ThreadRanks::~ThreadRanks() = default;

int ThreadRanks::size() const { return shared_->size; }

std::vector<std::exception_ptr> ThreadRanks::run(
    const std::function<void(int, std::unique_ptr<Communicator>)>& work) {
  std::vector<std::exception_ptr> thrown(static_cast<size_t>(size()));
  shared_->gone.assign(static_cast<size_t>(size()), false);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size(); ++rank)
    threads.emplace_back([&, rank] {
      try {
        work(rank, std::make_unique<ThreadCommunicator<Shared>>(shared_, rank));
      } catch (...) {
        thrown[static_cast<size_t>(rank)] = std::current_exception();
      }
      shared_->leave(rank);
    });
  for (std::thread& thread : threads) thread.join();
  return thrown;
}

void ThreadRanks::run_all(const std::function<void(int, std::unique_ptr<Communicator>)>& work) {
  for (const std::exception_ptr& thrown : run(work))
    if (thrown) std::rethrow_exception(thrown);
}

int64_t ThreadRanks::max_exchanges() const { return *std::ranges::max_element(shared_->exchanges); }
int64_t ThreadRanks::max_sent() const { return *std::ranges::max_element(shared_->sent) / 4; }

}  // namespace lockstep::test
