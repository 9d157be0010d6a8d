#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>

namespace lockstep {

constexpr int kDigitSide = 28;

struct SynthDigit {
  std::array<uint8_t, kDigitSide * kDigitSide> pixels{};  ///< (28, 28), ink is 255
  uint8_t label = 0;                                      ///< 0 to 9
};

/// Sample `index` of the infinite data set `seed`: a digit that looks handwritten, framed like MNIST's (20 x
/// 20 ink box, centre of mass in the middle). A pure function of (seed, index).
SynthDigit draw_digit(uint64_t seed, uint64_t index);

struct SynthDigitsOptions {
  int64_t train = 60000;
  int64_t test = 10000;
  uint64_t seed = 1;
};

/// Writes /train/x (N, 28, 28) uint8, /train/y (N) uint8, /test/x and /test/y. The test samples do not depend
/// on the number of training samples. `out` appears complete or not at all; throws Error(data) if it cannot
/// be written. progress: called now and then with bytes written.
void synth_digits(const std::string& out, const SynthDigitsOptions& options,
                  const std::function<void(int64_t done, int64_t all)>& progress = nullptr);

}  // namespace lockstep
