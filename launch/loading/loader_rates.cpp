#include "launch/loading/loader_rates.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "io/dataset/loader.h"
#include "launch/loading/read_limits.h"
#include "src/core/error.h"
#include "src/core/peak_memory.h"

namespace lockstep {

namespace {

constexpr int64_t kRepeats = 5;

/// Batches that one loader delivers.
struct Slice {
  int64_t batches = 0, samples = 0;  ///< of all ranks
  double seconds = 0;                ///< of the slowest rank
  Loader::Seconds of_loader;         ///< summed over the ranks
};

double max_over_ranks(World& world, double value) {
  world.max({&value, 1});
  return value;
}

/// One loader after another, with the same number of threads.
class Slices {
 public:
  /// next: the batch with which the next slice begins, for all numbers of threads: what another one has just
  /// read would still be in the data set's cache.
  Slices(World& world, const Dataset& dataset, const Sampler& sampler, const LoadingPlan& plan, int threads,
         int64_t& next)
      : world_(world),
        dataset_(dataset),
        sampler_(sampler),
        threads_(threads),
        rows_(plan.global_batch / world.size()),
        next_(next) {}

  int threads() const { return threads_; }

  /// Timed from the creation of the loader, whose threads start at once, to its last batch. It assembles no
  /// more than it delivers, so that no batch is assembled in part in this time.
  Slice run(int64_t batches) {
    using Clock = std::chrono::steady_clock;
    const int64_t steps = sampler_.steps_per_epoch(), epoch = next_ / steps, step = next_ % steps;
    world_.barrier();
    const Clock::time_point start = Clock::now();
    Loader loader(Exec{}, dataset_, sampler_,
                  {.first_slot = world_.rank() * rows_,
                   .rows = rows_,
                   .first_epoch = epoch,
                   .first_step = step,
                   .last_epoch = epoch + 1 + (step + batches) / steps,
                   .threads = threads_,
                   .max_batches = batches});
    Slice slice;
    while (const Batch* batch = loader.next()) {
      ++slice.batches;
      slice.samples += batch->global_valid;
    }
    slice.seconds = max_over_ranks(world_, std::chrono::duration<double>(Clock::now() - start).count());
    INVARIANT(slice.batches == batches, "{} of {} batches", slice.batches, batches);
    const Loader::Seconds mine = loader.seconds();
    double sums[] = {mine.waited, mine.read, mine.decode};
    world_.sum(sums);
    slice.of_loader = {sums[0], sums[1], sums[2]};
    next_ += batches;
    return slice;
  }

  /// Runs for about this time. Returns the time to the first batch, and sets the number of batches that
  /// a slice of this time has.
  double warm_up(double seconds) {
    const double first = run(1).seconds;
    int64_t batches = 1;
    double took = first;
    // The first batch may have waited for a disk.
    for (double total = first; total < seconds && (batches == 1 || took < seconds / 4); total += took) {
      batches *= 2;
      took = run(batches).seconds;
    }
    const double each = std::max(1e-9, took / static_cast<double>(batches));
    // All threads end at about the same time.
    const int64_t lanes = std::max(1, threads_);
    per_slice_ = std::max<int64_t>(1, std::llround(seconds / each / static_cast<double>(lanes))) * lanes;
    return first;
  }
  Slice run() { return run(per_slice_); }

 private:
  World& world_;
  const Dataset& dataset_;
  const Sampler& sampler_;
  int threads_;
  int64_t rows_;  ///< of this rank in a batch
  int64_t& next_;
  int64_t per_slice_ = 1;  ///< batches
};

/// The repeats of a limit.
class LimitSeries {
 public:
  /// measured: on this rank, beside a loader that all ranks together ran at `loaded` bytes per second.
  void add(World& world, ByteRate measured, double loaded) {
    double sums[] = {measured.bytes_per_s, measured.cpu_seconds_per_byte};
    world.sum(sums);
    bytes_per_s_.push_back(sums[0]);
    shares_.push_back(loaded / sums[0]);
    cpu_seconds_.push_back(sums[1] / world.size());
  }
  Limit limit(size_t sample_bytes) const {
    return {spread_of(bytes_per_s_), spread_of(shares_).median,
            static_cast<double>(sample_bytes) * spread_of(cpu_seconds_).median};
  }

 private:
  std::vector<double> bytes_per_s_, shares_, cpu_seconds_;
};

/// The repeats of one number of threads.
struct Series {
  std::vector<double> samples_per_s;
  LimitSeries copy, read, scattered;
  Slice total;

  void add(const Slice& slice) {
    samples_per_s.push_back(static_cast<double>(slice.samples) / slice.seconds);
    total.samples += slice.samples;
    total.seconds += slice.seconds;
    total.of_loader.waited += slice.of_loader.waited;
    total.of_loader.read += slice.of_loader.read;
    total.of_loader.decode += slice.of_loader.decode;
  }
};

LoadingRates rates_of(const Series& series, int threads, int ranks, size_t sample_bytes,
                      double first_batch_seconds) {
  const auto samples = static_cast<double>(series.total.samples);
  const Loader::Seconds& seconds = series.total.of_loader;
  return {.threads = threads,
          .samples = series.total.samples,
          .first_batch_seconds = first_batch_seconds,
          .samples_per_s = spread_of(series.samples_per_s),
          .copy = series.copy.limit(sample_bytes),
          .read = series.read.limit(sample_bytes),
          .scattered = series.scattered.limit(sample_bytes),
          .decode_seconds = seconds.decode / samples,
          .read_seconds = seconds.read / samples,
          .waited = seconds.waited / (series.total.seconds * ranks)};
}

}  // namespace

size_t x_bytes(const Dataset& dataset) {
  return static_cast<size_t>(dataset.x_shape().elements()) * size_of(dataset.x_dtype());
}

size_t y_bytes(const Dataset& dataset) {
  // Classes are int32, everything else is float32.
  return dataset.target_kind() == TargetKind::none
             ? 0
             : static_cast<size_t>(dataset.y_shape().elements()) * sizeof(float);
}

LoadingTimes time_loading(World& world, const Dataset& dataset, const Sampler& sampler,
                          const LoadingPlan& plan) {
  const double slice_seconds = plan.seconds / kRepeats, limit_seconds = slice_seconds / 2;
  const auto piece = static_cast<int64_t>(x_bytes(dataset));
  const size_t sample_bytes = x_bytes(dataset) + y_bytes(dataset);
  // The page cache has the files afterwards, if they fit, in the large pieces that reading in order makes.
  const FileReading files(plan.files);
  files.read_once(plan.seconds);
  std::vector<Slices> loaders;
  std::vector<double> first_batch;
  int64_t next_batch = 0;
  for (const int threads : plan.threads) {
    loaders.emplace_back(world, dataset, sampler, plan, threads, next_batch);
    first_batch.push_back(loaders.back().warm_up(slice_seconds));
  }
  const int64_t peak_before = peak_host_bytes();

  const MemoryCopy memory(sample_bytes * static_cast<size_t>(plan.global_batch / world.size()));
  std::vector<Series> series(loaders.size());
  for (int64_t repeat = 0; repeat < kRepeats; ++repeat) {
    for (size_t i = 0; i < loaders.size(); ++i) {
      const int threads = loaders[i].threads();
      Series& mine = series[i];
      mine.add(loaders[i].run());
      const double rate = mine.samples_per_s.back() * static_cast<double>(sample_bytes);
      mine.copy.add(world, memory.copy(threads, limit_seconds), rate);
      mine.read.add(world, files.read_in_order(threads, limit_seconds), rate);
      mine.scattered.add(world, files.read_scattered(threads, limit_seconds, piece), rate);
    }
  }

  LoadingTimes times{.repeats = kRepeats, .rates = {}, .cached_share = files.cached_share(), .peak_bytes = 0};
  for (size_t i = 0; i < loaders.size(); ++i)
    times.rates.push_back(
        rates_of(series[i], loaders[i].threads(), world.size(), sample_bytes, first_batch[i]));
  const int64_t of_limits = memory.bytes() + FileReading::bytes(std::ranges::max(plan.threads), piece);
  const int64_t peak = std::max(peak_before, peak_host_bytes() - of_limits);
  times.peak_bytes = static_cast<int64_t>(max_over_ranks(world, static_cast<double>(peak)));
  return times;
}

}  // namespace lockstep
