// `lockstep data repack` on several ranks, by the real program.
#include <gmock/gmock.h>

#include "tests/io/data_files.h"
#include "tests/launch/commands/command_line.h"
#include "tests/support/run_program.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

class RepackCommand : public CommandLine {
 protected:
  std::string path(const std::string& name) const { return (work() / name).string(); }
  ProgramResult repack_on(int ranks, const std::vector<std::string>& arguments) const {
    std::vector<std::string> all = {"data", "repack"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return run_program(lockstep_command(ranks, all), work().string());
  }
};

TEST_F(RepackCommand, RanksWriteTheFileOfOne) {
  put(path("in.h5"), "/train/x", {600, 8, 8}, counting<int32_t>(600 * 64, 97));
  put(path("in.h5"), "/train/y", {600}, counting<int64_t>(600, 10));
  const std::vector<std::string> options = {"--chunk", "4K", "--shuffle", "--seed", "3"};
  for (const int ranks : {1, 3}) {
    std::vector<std::string> arguments = {"in.h5", fmt::format("out{}.h5", ranks)};
    arguments.insert(arguments.end(), options.begin(), options.end());
    const ProgramResult done = repack_on(ranks, arguments);
    ASSERT_EQ(done.exit_code, 0) << done.err;
    EXPECT_THAT(done.out, HasSubstr(fmt::format("wrote out{}.h5", ranks)));
  }
  EXPECT_TRUE(read_all(work() / "out3.h5") == read_all(work() / "out1.h5"));
  const ProgramResult refused = repack_on(2, {"in.h5", "out1.h5"});
  EXPECT_EQ(refused.exit_code, 2);
  const size_t error = refused.err.find("error: ");
  ASSERT_NE(error, std::string::npos) << refused.err;
  EXPECT_THAT(refused.err.substr(error), HasSubstr("out1.h5"));
  EXPECT_EQ(refused.err.find("error: ", error + 1), std::string::npos) << refused.err;
  EXPECT_EQ(left_behind(), (std::vector<std::string>{"in.h5", "out1.h5", "out3.h5"}));
}

}  // namespace
}  // namespace lockstep
