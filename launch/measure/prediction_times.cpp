#include "launch/measure/prediction_times.h"

#include <algorithm>
#include <chrono>

#include "launch/measure/random_samples.h"

namespace lockstep {

PredictionTimes time_predictions(Evaluator& evaluator, const Batch& source, int64_t batch, int lanes,
                                 int64_t samples, EnergyMeter& meter) {
  using Clock = std::chrono::steady_clock;
  constexpr int64_t kParts = 10;
  // In a round, each lane computes a batch.
  const int64_t round = lanes * batch,
                each = std::max<int64_t>(1, (samples + kParts * round - 1) / (kParts * round));
  const int64_t warm_up = std::max<int64_t>(3, each);
  const RepeatedRows rows(source, (warm_up + kParts * each) * round);

  std::vector<double> parts;
  Clock::time_point part_start;
  evaluator.predict(rows, [&](int64_t first, ConstTensor) {
    const int64_t done = first + batch;
    if (done % round != 0) return;
    const int64_t rounds = done / round - warm_up;
    if (rounds < 0 || rounds % each != 0) return;
    if (rounds == 0) {
      meter.start();
    } else {
      const std::chrono::duration<double, std::milli> took = Clock::now() - part_start;
      parts.push_back(took.count() / static_cast<double>(each * lanes));
      meter.lap();
    }
    part_start = Clock::now();
  });
  return {kParts, each * lanes, warm_up * lanes, spread_of(parts), meter.energy()};
}

}  // namespace lockstep
