#include "src/train/observe/data_pace.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "src/core/counted.h"

namespace lockstep {

namespace {

constexpr int64_t kFirstSteps = 4, kSteps = 16;
constexpr double kSeconds = 2;

/// In two digits, since more were not measured.
std::string per_second(double rate) {
  const double digit = std::pow(10, std::floor(std::log10(std::max(rate, 0.1))) - 1);
  return fmt::format("{:.{}f}", std::round(rate / digit) * digit, rate < 10 ? 1 : 0);
}

std::string remedy(const DataPace& pace, int threads, double amplification) {
  constexpr double kMuch = 2;
  if (amplification >= kMuch)
    return fmt::format(
        "The order of the samples decodes {:.1f} times what it uses: set data.shuffle = \"window\" or raise "
        "data.memory_budget",
        amplification);
  if (pace.by_decoding)
    return fmt::format(
        "Raise data.threads (now {}), if there are free cores, or let `lockstep data repack` store what is "
        "decoded faster",
        threads);
  return fmt::format(
      "The readers wait for bytes, or for a core: copy the files to storage of each machine (data.stage), or "
      "raise data.threads (now {})",
      threads);
}

}  // namespace

std::optional<DataPace> DataPaceMeter::after_step(double seconds, const Loader::Seconds& input) {
  if (is_known_) return std::nullopt;
  if (++steps_ <= kFirstSteps) {
    before_ = input;
    return std::nullopt;
  }
  seconds_ += seconds;
  if (steps_ < kFirstSteps + kSteps || seconds_ < kSeconds) return std::nullopt;
  is_known_ = true;
  const double samples = samples_ * static_cast<double>(steps_ - kFirstSteps);
  const double read = input.read - before_.read, decode = input.decode - before_.decode;
  const double waited = std::clamp(input.waited - before_.waited, 0.0, seconds_);
  const auto rate = [&](double in) { return samples / std::max(1e-9, in); };
  return DataPace{.read_per_s = rate((read + decode) / threads_),
                  .taken_per_s = rate(seconds_ - waited),
                  .waited = waited / seconds_,
                  .by_decoding = decode >= read};
}

bool is_held_up(const DataPace& pace) {
  constexpr double kWorthTelling = 0.1;
  return pace.waited > kWorthTelling && pace.read_per_s < pace.taken_per_s;
}

std::string pace_in_words(const DataPace& pace, int threads, double amplification) {
  const std::string read = per_second(pace.read_per_s), taken = per_second(pace.taken_per_s);
  const std::string by = counted(threads, "thread") + " on each rank";
  if (!is_held_up(pace))
    return fmt::format("reading: {} samples/s are possible ({}), the model takes {}", read, by, taken);
  return fmt::format(
      "steps wait {:.0f} % of their time for data: {} samples/s are read ({}), the model could take {}. {}.",
      100 * pace.waited, read, by, taken, remedy(pace, threads, amplification));
}

}  // namespace lockstep
