#include "io/dataset/loader.h"

#include <time.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "src/core/activity.h"
#include "src/core/text/printable.h"
#include "src/device/libraries/cufile.h"

namespace lockstep {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// CPU time of the calling thread, in seconds.
double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

size_t round_up(size_t bytes) { return (bytes + 255) / 256 * 256; }

/// One sample, or its targets, with `length` positions.
Shape cut(const Shape& shape, int64_t length) {
  std::vector<int64_t> extents(shape.extents().begin(), shape.extents().end());
  extents[0] = length;
  return Shape(extents);
}

/// Moves the start of each row to `to`, one behind the other; `to` is not behind `from`.
void cut_rows(const Tensor& from, const Tensor& to) {
  if (!from) return;
  const auto rows = static_cast<size_t>(from.shape()[0]);
  const size_t bytes = from.bytes() / rows, kept = to.bytes() / rows;
  for (size_t row = 0; row < rows; ++row)
    std::memmove(static_cast<std::byte*>(to.raw()) + row * kept,
                 static_cast<const std::byte*>(from.raw()) + row * bytes, kept);
}

}  // namespace

BatchLayout::BatchLayout(size_t x_bytes, size_t y_bytes, int64_t rows)
    : y(round_up(x_bytes)),
      sample_index(y + round_up(y_bytes)),
      bytes(sample_index + static_cast<size_t>(rows) * sizeof(int64_t)) {}

/// Batches are numbered from 0 in the order in which next() returns them. Batch n is assembled in slot n %
/// depth.
struct Loader::Impl {
  struct Slot {
    Buffer memory;
    Buffer on_gpu;  ///< x, if it is read there
    Batch batch;
    std::vector<int64_t> indices;  ///< of the real rows
    std::exception_ptr failure;
    bool ready = false;
    double read_seconds = 0, decode_seconds = 0;  ///< see Seconds
  };

  Impl(Exec exec, const Dataset& data, const Sampler& order, const Options& wanted);
  ~Impl();
  int64_t sample_of(int64_t number, int64_t slot_of_batch) const;
  void fill(int64_t number, Slot& slot) const;
  void place(Slot& slot, int64_t length) const;
  void cut_to(Slot& slot, int64_t length) const;
  void read_to_gpu(const Slot& slot) const;
  void serve();
  bool has_work() const {
    return stop || to_fill >= batches || to_fill < finished + static_cast<int64_t>(slots.size());
  }
  bool read_ahead(std::unique_lock<std::mutex>& lock);
  const Batch* next();
  Slot& slot_of(int64_t number) { return slots[static_cast<size_t>(number) % slots.size()]; }

  const Dataset& dataset;
  Sampler sampler;
  Options options;
  bool has_targets;
  DType y_dtype;
  size_t x_row_bytes, y_row_bytes;
  int64_t batches;  ///< total number
  std::vector<Slot> slots;
  std::optional<FileToGpu> to_gpu;  ///< if x is read there
  std::vector<StoredRun> runs;      ///< for it
  Seconds seconds;

  std::mutex mutex;
  std::condition_variable filled;    ///< the slot that next() waits for is ready
  std::condition_variable released;  ///< a slot may be filled again
  int64_t to_fill = 0;               ///< the next batch that a thread takes
  int64_t to_give = 0;               ///< the next batch that next() returns
  int64_t finished = 0;              ///< batches before this one are no longer used by the caller
  int64_t assembled = 0;             ///< batches before this one have been assembled
  Seconds ahead;                     ///< spent by read_ahead() and not yet in `seconds`
  bool stop = false;
  std::unique_ptr<Expectation> expectation;  ///< may be null
  std::vector<std::thread> threads;
};

Loader::Impl::Impl(Exec exec, const Dataset& data, const Sampler& order, const Options& wanted)
    : dataset(data), sampler(order), options(wanted) {
  INVARIANT(options.rows > 0 && options.first_slot >= 0 && options.threads >= 0 && options.depth > 0,
            "a loader of {} rows from slot {}, {} threads, depth {}", options.rows, options.first_slot,
            options.threads, options.depth);
  const int64_t steps = sampler.steps_per_epoch();
  // What follows those that are read here may be read next.
  const int64_t known =
      std::max<int64_t>(0, (options.last_epoch - options.first_epoch) * steps - options.first_step);
  batches = std::min(known, options.max_batches);
  has_targets = dataset.target_kind() != TargetKind::none;
  y_dtype = dataset.target_kind() == TargetKind::classes ? DType::i32 : DType::f32;
  x_row_bytes = static_cast<size_t>(dataset.x_shape().elements()) * size_of(dataset.x_dtype());
  y_row_bytes = has_targets ? static_cast<size_t>(dataset.y_shape().elements()) * size_of(y_dtype) : 0;

  const size_t rows = static_cast<size_t>(options.rows);
  if (options.gpu_direct) {
    to_gpu.emplace(exec);
    runs = dataset.stored_runs();
    INVARIANT(!runs.empty(), "samples of {} do not lie in files as they are used", dataset.describe());
  }
  const BatchLayout layout(to_gpu ? 0 : rows * x_row_bytes, rows * y_row_bytes, options.rows);
  // Without threads no batch is prefetched.
  slots.resize(static_cast<size_t>(options.batches_held()));
  for (Slot& slot : slots) {
    slot.memory = Buffer(exec, Memory::pinned, layout.bytes);
    if (to_gpu) {
      slot.on_gpu = Buffer(exec, Memory::device, rows * x_row_bytes);
      to_gpu->add_destination(slot.on_gpu.data(), slot.on_gpu.size());
    }
    slot.indices.reserve(rows);
  }
  expectation = dataset.expect(
      {.steps = known,
       .first_slot = options.first_slot,
       .rows = options.rows,
       .sample = [this](int64_t number, int64_t slot_of_batch) { return sample_of(number, slot_of_batch); },
       .certain_steps = batches});
  for (int i = 0; i < options.threads; ++i) threads.emplace_back([this] { serve(); });
}

Loader::Impl::~Impl() {
  {
    const std::scoped_lock lock(mutex);
    stop = true;
  }
  released.notify_all();
  for (std::thread& thread : threads) thread.join();
}

/// The sample in a slot of the global batch; -1: none.
int64_t Loader::Impl::sample_of(int64_t number, int64_t slot_of_batch) const {
  const int64_t steps = sampler.steps_per_epoch(), step = options.first_step + number;
  return sampler.sample(options.first_epoch + step / steps, step % steps, slot_of_batch);
}

/// Divides the memory of a slot among the tensors of its batch. length: of samples that are sequences; 0: the
/// data set's.
void Loader::Impl::place(Slot& slot, int64_t length) const {
  const bool cuts = length > 0, cuts_targets = cuts && dataset.has_class_at_each_position();
  const Shape x = cuts ? cut(dataset.x_shape(), length) : dataset.x_shape();
  const Shape y = cuts_targets ? cut(dataset.y_shape(), length) : dataset.y_shape();
  const Tensor samples(to_gpu ? slot.on_gpu.data() : slot.memory.data(), dataset.x_dtype(),
                       x.batched(options.rows));
  const size_t y_bytes =
      has_targets ? static_cast<size_t>(y.elements() * options.rows) * size_of(y_dtype) : 0;
  const BatchLayout layout(to_gpu ? 0 : samples.bytes(), y_bytes, options.rows);
  std::byte* const at = slot.memory.data();
  slot.batch.x = samples;
  if (has_targets) slot.batch.y = Tensor(at + layout.y, y_dtype, y.batched(options.rows));
  slot.batch.sample_index = Tensor(at + layout.sample_index, DType::i64, {options.rows});
  if (!to_gpu) slot.batch.block = {at, layout.bytes};
}

/// Leaves out what is behind `length` positions of each sample, which is padding.
void Loader::Impl::cut_to(Slot& slot, int64_t length) const {
  const Batch whole = slot.batch;
  place(slot, length);
  cut_rows(whole.x, slot.batch.x);
  cut_rows(whole.y, slot.batch.y);
  cut_rows(whole.sample_index, slot.batch.sample_index);
}

void Loader::Impl::fill(int64_t number, Slot& slot) const {
  const Clock::time_point begin = Clock::now();
  // Reading from memory never blocks, and this clock costs as much as gathering a small batch.
  const double ran_before = dataset.in_memory() ? 0 : thread_seconds();
  const int64_t steps = sampler.steps_per_epoch();
  const int64_t step = options.first_step + number;
  Batch& batch = slot.batch;
  batch.epoch = options.first_epoch + step / steps;
  batch.step_in_epoch = step % steps;
  batch.global_valid = sampler.valid(batch.step_in_epoch);
  place(slot, 0);
  slot.indices.clear();
  const std::span<int64_t> samples(batch.sample_index.data<int64_t>(), static_cast<size_t>(options.rows));
  sampler.samples(batch.epoch, batch.step_in_epoch, options.first_slot, samples);
  for (const int64_t sample : samples)
    if (sample >= 0) slot.indices.push_back(sample);
  auto* x = static_cast<std::byte*>(batch.x.raw());
  auto* y = static_cast<std::byte*>(batch.y.raw());
  if (to_gpu)
    read_to_gpu(slot);
  else
    dataset.read(slot.indices, x, y);
  const size_t real = slot.indices.size(), padding = static_cast<size_t>(options.rows) - real;
  if (to_gpu)
    to_gpu->fill_zero(x + real * x_row_bytes, padding * x_row_bytes);
  else
    std::memset(x + real * x_row_bytes, 0, padding * x_row_bytes);
  if (y != nullptr) std::memset(y + real * y_row_bytes, 0, padding * y_row_bytes);
  if (const int64_t length = sampler.length(batch.epoch, batch.step_in_epoch); length > 0)
    cut_to(slot, length);

  const double took = seconds_since(begin);
  slot.decode_seconds = dataset.in_memory() ? took : std::min(took, thread_seconds() - ran_before);
  slot.read_seconds = took - slot.decode_seconds;
}

/// Reads the samples to the GPU, consecutive ones together, and the targets to the host.
void Loader::Impl::read_to_gpu(const Slot& slot) const {
  const std::vector<int64_t>& indices = slot.indices;
  dataset.read(indices, nullptr, static_cast<std::byte*>(slot.batch.y.raw()));
  for (size_t begin = 0, end; begin < indices.size(); begin = end) {
    const int64_t first = indices[begin];
    const StoredRun& run = *std::prev(std::ranges::upper_bound(runs, first, {}, &StoredRun::first));
    end = begin + 1;
    while (end < indices.size() && indices[end] == indices[end - 1] + 1 &&
           indices[end] < run.first + run.samples)
      ++end;
    const auto count = static_cast<int64_t>(end - begin);
    const FileActivity reading(run.file, run.name, run.row + first - run.first, count);
    const int64_t offset = run.offset + (first - run.first) * static_cast<int64_t>(x_row_bytes);
    const std::string problem = to_gpu->read(run.descriptor, offset, slot.on_gpu.data(), begin * x_row_bytes,
                                             (end - begin) * x_row_bytes);
    dataset.require_unchanged(first);
    if (!problem.empty())
      fail(ExitCode::data, "{}:{}: {} bytes from byte {} of the file on cannot be read to the GPU: {}.",
           run.file, printable(run.name), (end - begin) * x_row_bytes, offset, problem);
  }
}

void Loader::Impl::serve() {
  std::unique_lock lock(mutex);
  for (;;) {
    // Work may have come while read_ahead() had released the lock.
    while (!has_work())
      if (!read_ahead(lock) && !has_work()) released.wait(lock);
    if (stop || to_fill >= batches) return;
    const int64_t number = to_fill++;
    Slot& slot = slot_of(number);
    lock.unlock();
    std::exception_ptr failure;
    try {
      fill(number, slot);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    slot.failure = failure;
    slot.ready = true;
    if (number == to_give) filled.notify_one();
    while (assembled < to_fill && slot_of(assembled).ready) ++assembled;
    if (!expectation || failure) continue;
    const int64_t read = assembled;
    lock.unlock();
    expectation->has_read(read);
    lock.lock();
  }
}

/// With all batches assembled, prepares what those after them need. Releases the lock meanwhile. False if
/// there is nothing to prepare.
bool Loader::Impl::read_ahead(std::unique_lock<std::mutex>& lock) {
  if (!expectation) return false;
  lock.unlock();
  const Clock::time_point begin = Clock::now();
  const double ran_before = thread_seconds();
  const bool has_read = expectation->read_ahead();
  const double took = seconds_since(begin), ran = std::min(took, thread_seconds() - ran_before);
  lock.lock();
  ahead.decode += ran;
  ahead.read += took - ran;
  return has_read;
}

const Batch* Loader::Impl::next() {
  if (to_give >= batches) return nullptr;
  const Clock::time_point begin = Clock::now();
  Slot& slot = slot_of(to_give);
  if (threads.empty()) {
    fill(to_give, slot);
    ++to_give;
    if (expectation) expectation->has_read(to_give);
  } else {
    std::unique_lock lock(mutex);
    if (to_give > finished) {
      slot_of(finished).ready = false;
      finished = to_give;
      released.notify_one();
    }
    filled.wait(lock, [&] { return slot.ready; });
    if (slot.failure) std::rethrow_exception(slot.failure);
    ++to_give;
    const Seconds before = std::exchange(ahead, {});
    seconds.read += before.read;
    seconds.decode += before.decode;
  }
  seconds.waited += seconds_since(begin);
  seconds.read += slot.read_seconds;
  seconds.decode += slot.decode_seconds;
  return &slot.batch;
}

Loader::Loader(Exec exec, const Dataset& dataset, const Sampler& sampler, const Options& options)
    : impl_(std::make_unique<Impl>(exec, dataset, sampler, options)) {}

Loader::~Loader() = default;

const Batch* Loader::next() { return impl_->next(); }

Loader::Seconds Loader::seconds() const { return impl_->seconds; }

}  // namespace lockstep
