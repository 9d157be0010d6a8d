#include "launch/slurm/slurm_script.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "src/core/error.h"
#include "tests/io/temporary_folder.h"
#include "tests/support/run_program.h"

namespace lockstep {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kEndOfValues = "# ---- End of the values ----";

std::string train_sbatch() {
  std::ifstream file(LOCKSTEP_SOURCE_DIR "/slurm/train.sbatch");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

SlurmJob small_job() {
  SlurmJob job;
  job.name = "job";
  job.time = "2:00:00";
  job.folder = "/home/me";
  job.program = {"lockstep"};
  job.arguments = {"config.toml"};
  return job;
}

TEST(SlurmScript, IsTheTemplateWithOtherValues) {
  const std::string script = sbatch_script(small_job()), from = train_sbatch();
  ASSERT_NE(from.find(kEndOfValues), std::string::npos);
  EXPECT_EQ(script.substr(script.find(kEndOfValues)), from.substr(from.find(kEndOfValues)));
  EXPECT_THAT(script, Not(HasSubstr("--gpus-per-node=")));
  EXPECT_THAT(script, Not(HasSubstr("--account=")));
}

TEST(SlurmScript, HasTheValuesOfTheJob) {
  SlurmJob job = small_job();
  job.account = "physics";
  job.partition = "long";
  job.nodes = 3;
  job.gpus_per_node = 4;
  job.tasks_per_node = 4;
  job.cpus_per_task = 16;
  job.launcher = "mpirun";
  job.run = "/scratch/run";
  job.setup = {"module purge", "module load openmpi"};
  job.options = {"--qos=night"};
  const std::string script = sbatch_script(job);
  for (const char* line :
       {"#SBATCH --job-name=job\n", "\n#SBATCH --account=physics\n", "\n#SBATCH --partition=long\n",
        "#SBATCH --time=2:00:00\n", "#SBATCH --nodes=3\n", "#SBATCH --ntasks-per-node=4\n",
        "#SBATCH --gpus-per-node=4\n", "#SBATCH --cpus-per-task=16\n", "#SBATCH --signal=B:USR1@120\n",
        "#SBATCH --requeue\n#SBATCH --qos=night\n", "\nlauncher=mpirun\n", "\nfolder=/home/me\n",
        "\nprogram=(lockstep)\n", "\narguments=(config.toml)\n", "\nrun=/scratch/run\n",
        "\nmodule purge\nmodule load openmpi\n"})
    EXPECT_THAT(script, HasSubstr(line));
}

TEST(SlurmScript, WarnsAShortJobLater) {
  SlurmJob job = small_job();
  job.time = "2";
  EXPECT_THAT(sbatch_script(job), HasSubstr("--signal=B:USR1@30\n"));
}

TEST(SlurmScript, ReadsTimesAsSlurmDoes) {
  for (const auto& [text, seconds] :
       {std::pair{"90", 5400}, std::pair{"2:30", 150}, std::pair{"2:00:00", 7200}, std::pair{"1-12", 129600},
        std::pair{"1-12:30", 131400}, std::pair{"1-12:30:05", 131405}})
    EXPECT_EQ(slurm_seconds(text), seconds) << text;
  for (const char* text : {"", "0", "0:00:00", "2h", "-5", "1:2:3:4", "1-2:3:4:5", "1.5", "99999999999"})
    EXPECT_THROW(slurm_seconds(text), Error) << text;
}

/// Whatever a word holds, bash hands it over as it is.
TEST(SlurmScript, QuotesWordsForTheShell) {
  const std::vector<std::string> words = {"plain", "",  "two words",   "it's",          "\"$HOME\" `id` \\",
                                          "*",     "~", "line\nbreak", "a=b,c:d@e+f%g", "#x",
                                          "(y)",   "!z"};
  std::string command = "printf '%s\\0'";
  for (const std::string& word : words) command += " " + shell_quoted(word);
  const TemporaryFolder folder;
  const ProgramResult result = run_program({"bash", "-c", command}, folder.path());
  ASSERT_EQ(result.exit_code, 0) << result.err;
  std::string expected;
  for (const std::string& word : words) expected += word + '\0';
  EXPECT_EQ(result.out, expected);
}

}  // namespace
}  // namespace lockstep
