#include "launch/account/account_step.h"

#include <optional>

#include "src/core/error.h"
#ifdef LOCKSTEP_ACCOUNT
#include "launch/account/account_report.h"
#include "launch/account/step_account.h"
#endif

namespace lockstep {

#ifdef LOCKSTEP_ACCOUNT

void require_account_build() {}

void account_step(TrainingSetup& setup, const Batch& batch, double lr, const AccountOptions& options,
                  Report& report, bool json) {
  if (!setup.exec.on_cuda() || !setup.step_options.capture || setup.communicator.size() > 1)
    fail(ExitCode::usage,
         "bench step --account counts a captured step on one GPU: run one rank, without "
         "--device cpu and run.capture = false");
  emulator::account::set_label_source(account_label);
  for (const int64_t step : {1, 2}) setup.step.run(batch, step, lr);  // not captured yet
  setup.step.flush();
  const emulator::account::Recording recording(options.all_blocks);
  setup.step.run(batch, 3, lr);
  const std::optional<StepMetrics> metrics = setup.step.flush();
  INVARIANT(metrics && metrics->is_finite,
            "the step that was counted is not finite, so that it has not updated the model");
  print_account(report, StepAccount(recording.nodes(), options.ceilings), setup.batching.global_batch, json);
}

#else

void require_account_build() {
  fail(ExitCode::usage,
       "--account needs the build that counts: cmake --preset account && cmake --build --preset account");
}

void account_step(TrainingSetup&, const Batch&, double, const AccountOptions&, Report&, bool) {
  require_account_build();
}

#endif

}  // namespace lockstep
