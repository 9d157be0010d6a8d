#include "io/repack/assign_parts.h"

#include <fmt/format.h>

#include <map>

#include "io/dataset/order/permutation.h"
#include "src/core/error.h"
#include "src/core/rng.h"

namespace lockstep {

namespace {

constexpr uint64_t kPartsStream = 0x7061727473;  // "parts": distinct from all other uses of the seed

uint64_t key_of(uint64_t seed, uint64_t index) {
  const Random4 words = philox(seed, kPartsStream, index);
  return uint64_t{words.word[0]} << 32 | words.word[1];
}

/// A sequence of parts of which every section has each part's share, to within a sample or two: the next one
/// is always the part that lacks most.
std::vector<uint8_t> even_sequence(int64_t length, const std::vector<SplitPart>& parts) {
  std::vector<int64_t> counts(parts.size());
  std::vector<uint8_t> sequence(static_cast<size_t>(length));
  for (int64_t i = 0; i < length; ++i) {
    const auto lack = [&](size_t part) {
      return parts[part].share * static_cast<double>(i + 1) - static_cast<double>(counts[part]);
    };
    size_t next = 0;
    for (size_t part = 1; part < parts.size(); ++part)
      if (lack(part) > lack(next)) next = part;
    ++counts[next];
    sequence[static_cast<size_t>(i)] = static_cast<uint8_t>(next);
  }
  for (size_t part = 0; part < parts.size(); ++part)
    if (counts[part] == 0)
      fail(ExitCode::usage, "--parts {}={}: of {} samples, that is none. Give it at least {:.2g}.",
           parts[part].name, parts[part].share, length, 1 / static_cast<double>(length));
  return sequence;
}

/// The samples of one class.
struct Stratum {
  int64_t samples = 0, begin = 0, next = 0;
};

}  // namespace

std::vector<uint8_t> assign_parts(int64_t samples, const std::function<int64_t(int64_t sample)>& class_of,
                                  const std::vector<SplitPart>& parts, uint64_t seed) {
  INVARIANT(!parts.empty() && parts.size() <= 256, "{} parts", parts.size());
  const std::vector<uint8_t> sequence = even_sequence(samples, parts);
  const auto label = [&](int64_t sample) { return class_of ? class_of(sample) : 0; };
  std::map<int64_t, Stratum> strata;
  for (int64_t sample = 0; sample < samples; ++sample) ++strata[label(sample)].samples;
  // All classes one after another, each in a random order, from a random place of the sequence on. So parts
  // are also fair to classes of a few samples.
  auto begin = static_cast<int64_t>(key_of(seed, 0) % static_cast<uint64_t>(samples));
  std::map<int64_t, Permutation> orders;
  for (auto& [number, stratum] : strata) {
    stratum.begin = begin;
    begin = (begin + stratum.samples) % samples;
    orders.try_emplace(number, key_of(seed, 1 + static_cast<uint64_t>(number)),
                       static_cast<uint64_t>(stratum.samples));
  }
  std::vector<uint8_t> part_of(static_cast<size_t>(samples));
  for (int64_t sample = 0; sample < samples; ++sample) {
    const int64_t number = label(sample);
    Stratum& stratum = strata[number];
    const auto position = static_cast<int64_t>(orders.at(number)(static_cast<uint64_t>(stratum.next++)));
    part_of[static_cast<size_t>(sample)] =
        sequence[static_cast<size_t>((stratum.begin + position) % samples)];
  }
  return part_of;
}

}  // namespace lockstep
