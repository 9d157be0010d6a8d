#include "io/checkpoint/checkpoint.h"
#include "src/core/hash.h"
#include "tests/fuzz/fuzz.h"

/// A checkpoint. What is accepted has the hashes that were written with it, so it must be readable to the
/// last byte.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lockstep;
  const std::string path = fuzz::as_file(data, size);
  fuzz::expect_answer({ExitCode::data}, [&] {
    const Checkpoint checkpoint = load_checkpoint(path);
    StreamingHash all;
    for (const Checkpoint::Named& named : checkpoint.tensors)
      all.update({static_cast<const std::byte*>(named.tensor.raw()), named.tensor.bytes()});
    (void)all.digest();
  });
  return 0;
}
