#include "io/import/synth_digits.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "io/checkpoint/atomic_hdf5.h"
#include "io/dataset/targets/labelled_group.h"
#include "src/core/cores.h"
#include "src/core/thread_pool.h"

namespace lockstep {
namespace {

/// The index of the first test sample in the infinite data set, far beyond any training sample.
constexpr uint64_t kFirstTestSample = uint64_t{1} << 40;

void write_digits(hdf5::File& file, const std::string& group, uint64_t seed, uint64_t first, int64_t count,
                  ThreadPool& pool, const std::function<void(int64_t rows)>& progress) {
  constexpr int64_t kBlock = 4096;
  create_labelled_group(file, group, {count, kDigitSide, kDigitSide});
  std::vector<uint8_t> images(kBlock * kDigitSide * kDigitSide), labels(kBlock);
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t rows = std::min(kBlock, count - begin);
    pool.run([&](int lane) {
      for (int64_t row = lane; row < rows; row += pool.lanes()) {
        const SynthDigit digit = draw_digit(seed, first + static_cast<uint64_t>(begin + row));
        labels[static_cast<size_t>(row)] = digit.label;
        std::memcpy(images.data() + static_cast<size_t>(row) * digit.pixels.size(), digit.pixels.data(),
                    digit.pixels.size());
      }
    });
    file.write_rows(group + "/x", begin, {images.data(), DType::u8, {rows, kDigitSide, kDigitSide}});
    file.write_rows(group + "/y", begin, {labels.data(), DType::u8, {rows}});
    progress(rows);
  }
}

}  // namespace

void synth_digits(const std::string& out, const SynthDigitsOptions& options,
                  const std::function<void(int64_t done, int64_t all)>& progress) {
  if (options.train < 0 || options.test < 0)
    fail(ExitCode::usage, "a data set of {} train and {} test digits cannot be: give counts from 0 up.",
         options.train, options.test);
  AtomicHdf5 output(out);
  ThreadPool pool(static_cast<int>(std::min(usable_cores().size(), size_t{16})));
  constexpr int64_t kDigitBytes = kDigitSide * kDigitSide;
  int64_t done = 0;
  const auto add = [&](int64_t rows) {
    if (progress) progress((done += rows) * kDigitBytes, (options.train + options.test) * kDigitBytes);
  };
  write_digits(output.file(), "/train", options.seed, 0, options.train, pool, add);
  write_digits(output.file(), "/test", options.seed, kFirstTestSample, options.test, pool, add);
  output.file().set_attribute(
      "/", "source", fmt::format("lockstep data synth digits, seed {} ({})", options.seed, LOCKSTEP_VERSION));
  output.commit();
}

}  // namespace lockstep
