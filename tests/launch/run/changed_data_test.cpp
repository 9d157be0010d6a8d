#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/launch/run/whole_run.h"
#include "tests/support/binary.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

using ChangedData = WholeRun;

TEST_F(ChangedData, AFileThatIsCutShortWhileItIsStreamedEndsTheRun) {
  const std::string file = *folder_ / "cut.h5", run = *folder_ / "cut-run";
  std::filesystem::copy_file(*folder_ / "digits.h5", file);
  // Long enough never to end by itself; the file is cut once the first epoch is over.
  const std::string script = lockstep_binary() + " train --run " + run + " --set data.train=" + file +
                             ":/train --set 'data.memory_budget=50 KiB' --set model.name=mlp --set "
                             "train.epochs=1000000 --set run.device=cpu & "
                             "until grep -q '\"epoch\":1' " +
                             run +
                             "/metrics.jsonl || ! kill -0 $!; do sleep 0.1; done; "
                             "truncate -s 100000 " +
                             file + "; wait $!";
  const ProgramResult result = run_program({"sh", "-c", script}, folder_->path());
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.err, HasSubstr("cut.h5 changed after it was opened: its size went from"));
}

}  // namespace
}  // namespace lockstep
