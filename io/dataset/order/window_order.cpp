#include "io/dataset/order/window_order.h"

#include <algorithm>

#include "io/dataset/order/permutation.h"
#include "src/core/error.h"
#include "src/core/rng.h"

namespace lockstep {

namespace {

/// Uses of an epoch's key.
enum class Stream : uint64_t { runs, windows, left_over_runs, rest, runs_of_lane };

/// The key by which lanes that keep their runs get them. It is the same for all seeds, so that what a machine
/// has kept of a data set serves other runs too.
constexpr uint64_t kDealingKey = 0x6c61'6e65'73;  // "lanes"

uint64_t key_of(uint64_t key, Stream stream, int64_t index = 0) {
  const Random4 words = philox(key, static_cast<uint64_t>(stream), static_cast<uint64_t>(index));
  return uint64_t{words.word[0]} << 32 | words.word[1];
}

/// The image of `position` under a permutation of [0, n).
int64_t permuted(uint64_t key, int64_t n, int64_t position) {
  return static_cast<int64_t>(Permutation(key, static_cast<uint64_t>(n))(static_cast<uint64_t>(position)));
}

__extension__ using Wide = __int128;  // for products of two counts

/// How many of the first `count` of `all` things are special, if `special` of them are, spread evenly. phase:
/// of `all`; the larger, the earlier they are.
int64_t special_before(int64_t count, int64_t special, int64_t all, int64_t phase = 0) {
  return static_cast<int64_t>((static_cast<Wide>(count) * special + phase) / all);
}

}  // namespace

WindowOrder::WindowOrder(const WindowShape& shape, const std::vector<int64_t>& parts, int64_t batch)
    : shape_(shape), slots_of_lane_(batch / shape.lanes) {
  INVARIANT(shape.lanes > 0 && shape.run > 0 && shape.runs_mixed > 0 && batch % shape.lanes == 0,
            "{} lanes of windows of {} runs of {} samples, batches of {}", shape.lanes, shape.runs_mixed,
            shape.run, batch);
  int64_t samples = 0;
  for (const int64_t part : parts) {
    parts_.push_back({samples, runs_, rest_});
    samples += part;
    runs_ += part / shape.run;
    rest_ += part % shape.run;
  }
  steps_ = samples / batch;
  lane_length_ = steps_ * slots_of_lane_;
  runs_of_lane_ = std::min(lane_length_ / shape.run, runs_ / shape.lanes);
}

int64_t WindowOrder::sample(uint64_t key, int64_t step, int64_t slot) const {
  const int64_t own = runs_of_lane_ * shape_.run, others = lane_length_ - own;
  if (step >= steps_) return left_over(key, others * shape_.lanes + slot);
  const int64_t lane = slot / slots_of_lane_;
  const int64_t position = step * slots_of_lane_ + slot % slots_of_lane_;
  // Lanes take left-over samples at different steps, the last one first: those of a run that no lane owns
  // would else be a batch.
  const int64_t phase = lane_length_ * lane / shape_.lanes;
  const int64_t before = special_before(position, others, lane_length_, phase);
  if (special_before(position + 1, others, lane_length_, phase) > before)
    return left_over(key, (before + 1) * shape_.lanes - 1 - lane);

  // The windows of a lane that begins within one end with the rest of it, so that its runs are read twice:
  // only if the lane has many.
  constexpr int64_t kFewWindows = 8;
  const int64_t window = shape_.runs_mixed * shape_.run;
  const int64_t begin = own / window >= kFewWindows ? lane * window / shape_.lanes : 0;
  const int64_t at = (position - before + begin) % own, first = at / window * window;
  const int64_t mixed = first + permuted(key_of(key, Stream::windows, first / window * shape_.lanes + lane),
                                         std::min(window, own - first), at - first);
  return first_of_run(nth_run(key, lane * runs_of_lane_ + mixed / shape_.run)) + mixed % shape_.run;
}

/// A sample that no lane owns: those of whole runs and those behind them alternate evenly.
int64_t WindowOrder::left_over(uint64_t key, int64_t index) const {
  const int64_t dealt = runs_of_lane_ * shape_.lanes;
  const int64_t in_runs = (runs_ - dealt) * shape_.run, all = in_runs + rest_;
  const int64_t before = special_before(index, rest_, all);
  if (special_before(index + 1, rest_, all) > before) {
    const auto begin = static_cast<int64_t>(key_of(key, Stream::rest) % static_cast<uint64_t>(rest_));
    return rest((before + begin) % rest_);
  }
  const int64_t at = index - before, run = at / shape_.run;
  return first_of_run(nth_run(key, dealt + run)) +
         permuted(key_of(key, Stream::left_over_runs, run), shape_.run, at % shape_.run);
}

int64_t WindowOrder::nth_run(uint64_t key, int64_t index) const {
  if (!shape_.keeps_runs) return permuted(key_of(key, Stream::runs), runs_, index);
  if (const int64_t lane = runs_of_lane_ > 0 ? index / runs_of_lane_ : shape_.lanes; lane < shape_.lanes)
    index = lane * runs_of_lane_ +
            permuted(key_of(key, Stream::runs_of_lane, lane), runs_of_lane_, index % runs_of_lane_);
  return permuted(kDealingKey, runs_, index);
}

int64_t WindowOrder::first_of_run(int64_t run) const {
  const Part& part =
      *std::prev(std::upper_bound(parts_.begin(), parts_.end(), run,
                                  [](int64_t at, const Part& other) { return at < other.runs_before; }));
  return part.first + (run - part.runs_before) * shape_.run;
}

int64_t WindowOrder::rest(int64_t index) const {
  const auto next = std::upper_bound(parts_.begin(), parts_.end(), index,
                                     [](int64_t at, const Part& other) { return at < other.rest_before; });
  const Part& part = *std::prev(next);
  const int64_t runs_end = next == parts_.end() ? runs_ : next->runs_before;
  return part.first + (runs_end - part.runs_before) * shape_.run + (index - part.rest_before);
}

}  // namespace lockstep
