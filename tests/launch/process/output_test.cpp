// Who reads what the program prints may leave, or never have been there; the disk may be full.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "src/core/text/json.h"
#include "tests/io/temporary_folder.h"
#include "tests/support/binary.h"
#include "tests/support/run_program.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

class Output : public testing::Test {
 protected:
  Output() { EXPECT_EQ(shell("LOCKSTEP data synth digits d.h5 --train 128 --test 20").exit_code, 0); }

  /// A script of bash in the folder, in which LOCKSTEP is the program.
  ProgramResult shell(const std::string& script) const {
    return run_program(
        {"bash", "-c", "LOCKSTEP() { " + std::string(lockstep_binary()) + " \"$@\"; }; " + script},
        folder_.path());
  }
  /// The same with `arguments` behind LOCKSTEP and standard output and error in a pipe without a reader.
  ProgramResult unread(const std::string& arguments) const {
    return shell("mkfifo pipe; exec 3<>pipe 4>pipe 3<&-; LOCKSTEP " + arguments +
                 " >&4 2>&4; code=$?; rm pipe; " + "exit $code");
  }

  std::string train(const std::string& name) const {
    return "train --device cpu --set data.train=d.h5:/train --set data.test=d.h5:/test --set model.name=mlp "
           "--set "
           "train.global_batch=32 --set train.epochs=2 --set run.name=" +
           name;
  }
  /// The last event of metrics.jsonl, every line of which is JSON.
  nlohmann::json last_event(const std::string& name) const {
    std::ifstream lines(folder_ / ("runs/" + name + "/metrics.jsonl"));
    nlohmann::json last;
    for (std::string line; std::getline(lines, line);) last = parse_json(line);
    return last;
  }

  TemporaryFolder folder_;
};

TEST_F(Output, ATrainingThatNobodyReadsEndsAsUsual) {
  EXPECT_EQ(unread(train("pipe")).exit_code, 0);
  EXPECT_EQ(last_event("pipe")["reason"], "finished");
}

TEST_F(Output, ClosedStreamsAreNotTakenForFiles) {
  EXPECT_EQ(shell("LOCKSTEP " + train("closed") + " <&- >&- 2>&-").exit_code, 0);
  EXPECT_EQ(last_event("closed")["reason"], "finished");
  EXPECT_EQ(shell("LOCKSTEP data check d.h5 >&- 2>&-").exit_code, 0) << "the data is as it was";
}

TEST_F(Output, AFullDiskBelowTheOutputOfATrainingIsAWarning) {
  const ProgramResult result = shell("LOCKSTEP " + train("full") + " >/dev/full");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err,
              HasSubstr("warning: some lines could not be written to standard output: No space left"));
  EXPECT_EQ(last_event("full")["reason"], "finished");
}

TEST_F(Output, AReportEndsQuietlyWhenItsReaderHasLeft) {
  ASSERT_EQ(shell("LOCKSTEP " + train("r")).exit_code, 0);
  for (const char* command :
       {"eval runs/r", "eval runs/r --json", "predict runs/r --out p.h5 --force", "data info d.h5",
        "data check d.h5", "data synth digits e.h5 --train 1 --test 1 --force", "model list --layers",
        "model show cnn", "doctor --json", "train --help-config", "--help", "slurm train --time 5"}) {
    EXPECT_EQ(unread(command).exit_code, 0) << command;
    const ProgramResult quiet = shell("mkfifo pipe; exec 3<>pipe 4>pipe 3<&-; LOCKSTEP " +
                                      std::string(command) + " >&4; code=$?; rm pipe; exit $code");
    EXPECT_EQ(quiet.exit_code, 0) << command;
    EXPECT_THAT(quiet.err, testing::Not(HasSubstr("error"))) << command;
  }
}

TEST_F(Output, AReportThatFillsTheDiskIsAnError) {
  const ProgramResult result = shell("LOCKSTEP data info d.h5 >/dev/full");
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.err, "error: cannot write to standard output: No space left on device\n");
}

TEST_F(Output, AMistakeKeepsItsExitCodeWhenNobodyReads) {
  EXPECT_EQ(unread("data check nowhere.h5").exit_code, 3);
  EXPECT_EQ(unread("train nowhere.toml").exit_code, 2);
}

}  // namespace
}  // namespace lockstep
