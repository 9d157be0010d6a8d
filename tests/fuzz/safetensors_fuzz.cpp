#include <span>
#include <vector>

#include "io/safetensors/safetensors_file.h"
#include "src/core/hash.h"
#include "tests/fuzz/fuzz.h"

/// A file of weights. Of what is accepted, every tensor of floating-point numbers must be readable.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lockstep;
  const std::string path = fuzz::as_file(data, size);
  fuzz::expect_answer({ExitCode::data}, [&] {
    const SafetensorsFile file(path);
    StreamingHash all;
    for (const StoredTensor& tensor : file.tensors()) {
      if (!tensor.holds_floats()) continue;
      const std::vector<float> values = file.floats(tensor);
      all.update(std::as_bytes(std::span(values)));
    }
    (void)all.digest();
  });
  return 0;
}
