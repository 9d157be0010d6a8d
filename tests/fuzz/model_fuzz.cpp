#include "models/file/model_file.h"
#include "src/graph/network.h"
#include "src/graph/rewrites/rewrites.h"
#include "tests/fuzz/fuzz.h"

/// A model file. What is accepted must give a network whose memory can be planned.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lockstep;
  const std::string path = fuzz::as_file(data, size);
  fuzz::expect_answer({ExitCode::usage, ExitCode::memory}, [&] {
    const Graph graph = rewrite(build_model_file(path, {DType::f32, {12, 10, 3}}, {7}, 1));
    const Plan plan = plan_network({}, graph, 2, /*training=*/true);
    INVARIANT(plan.arena_bytes() >= 0 && plan.unshared_bytes() >= plan.arena_bytes() / 2,
              "{} bytes of activations", plan.arena_bytes());
  });
  return 0;
}
