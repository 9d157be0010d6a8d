#include "src/train/run/moments.h"

#include "io/statistics/channel_moments.h"
#include "io/statistics/sample_pieces.h"
#include "src/core/activity.h"

namespace lockstep {

Moments measure_moments(World& world, const Dataset& dataset, bool channels_first) {
  const PhaseScope reading(Phase::read);
  const Channels channels = Channels::of(dataset.x_shape(), channels_first);
  const size_t numbers = channels.count * ChannelMoments::kNumbers;
  const SampleParts parts(dataset, numbers);
  std::vector<double> of_parts(static_cast<size_t>(parts.count()) * numbers);
  for (int64_t part = 0; part < parts.count(); ++part) {
    if (part * world.size() / parts.count() != world.rank()) continue;
    ChannelMoments moments(channels.count);
    for_each_piece(dataset, parts.rows_of(part), /*with_targets=*/false, [&](const SamplePiece& piece) {
      moments.add(piece.x, channels.inner);
      activity().progress();
    });
    moments.write(of_parts.data() + static_cast<size_t>(part) * numbers);
  }
  world.sum(of_parts);
  ChannelMoments all(channels.count), one(channels.count);
  for (int64_t part = 0; part < parts.count(); ++part) {
    one.read(of_parts.data() + static_cast<size_t>(part) * numbers);
    all.add(one);
  }
  Moments result;
  for (size_t c = 0; c < channels.count; ++c) {
    result.mean.push_back(all.mean(c));
    result.std.push_back(all.deviation(c));
  }
  return result;
}

}  // namespace lockstep
