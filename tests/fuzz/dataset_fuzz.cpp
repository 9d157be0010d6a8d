#include <vector>

#include "io/dataset/dataset.h"
#include "tests/fuzz/fuzz.h"

/// An HDF5 file with a data set, in memory and streamed. What is accepted must be readable, or say why not.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lockstep;
  const DataSource source{.files = {fuzz::as_file(data, size)}};
  for (const int64_t budget : {int64_t{1} << 20, int64_t{0}})
    fuzz::expect_answer({ExitCode::data, ExitCode::usage, ExitCode::memory}, [&] {
      const auto dataset = open_dataset(source, {.memory_budget = budget});
      const auto x_bytes = static_cast<size_t>(dataset->x_shape().elements()) * size_of(dataset->x_dtype());
      const auto y_bytes = static_cast<size_t>(dataset->y_shape().elements()) * sizeof(float);
      // A hostile shape may ask for more than there is; training would say so.
      if (x_bytes > (size_t{64} << 20) || y_bytes > (size_t{64} << 20)) return;
      std::vector<std::byte> x(x_bytes), y(y_bytes);
      for (const int64_t sample : {int64_t{0}, dataset->size() / 2, dataset->size() - 1})
        dataset->read(std::span(&sample, 1), x.data(), y.data());
      dataset->fingerprint();
    });
  return 0;
}
