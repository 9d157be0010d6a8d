// Commands of `lockstep data` that are interrupted while they write.
#include <gmock/gmock.h>

#include <random>

#include "tests/io/data_files.h"
#include "tests/io/images/image_files.h"
#include "tests/launch/commands/command_line.h"
#include "tests/support/binary.h"

namespace lockstep {
namespace {

class InterruptedDataCommand : public CommandLine {
 protected:
  /// Starts a command, sends it a signal when out.h5.tmp-PID exists, or at once if it writes none, and
  /// returns its exit code; -1 if it ended by itself.
  int interrupted(const std::string& command, const char* signal, bool writes = true) const {
    const std::string script = fmt::format(
        "cd '{}' || exit 99\n{} data {} >/dev/null 2>err & pid=$!\n"
        "for i in $(seq 3000); do\n"
        "  {} && break\n"
        "  kill -0 $pid 2>/dev/null || exit 98\n"
        "  sleep 0.01\n"
        "done\nkill -{} $pid; wait $pid",
        work().string(), lockstep_binary(), command,
        writes ? "ls out.h5.tmp-* >/dev/null 2>&1"
               : "grep -q 'SigCgt:.*[2367abef]$' /proc/$pid/status 2>/dev/null",
        signal);
    write("script", script);
    const int status = std::system(("bash '" + (work() / "script").string() + "'").c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  std::vector<std::string> temporaries() const {
    std::vector<std::string> found;
    for (const std::string& name : left_behind())
      if (name.find("tmp-") != std::string::npos || name == "out.h5") found.push_back(name);
    return found;
  }
};

TEST_F(InterruptedDataCommand, LeavesNoFileBehind) {
  // Reading a pipe waits for its writer; the others take long enough to be caught.
  ASSERT_EQ(
      std::system(("cd '" + work().string() +
                   "' && mkfifo text && mkdir mnist && cd mnist && mkfifo train-images-idx3-ubyte && touch "
                   "train-labels-idx1-ubyte t10k-images-idx3-ubyte t10k-labels-idx1-ubyte && truncate -s "
                   "122920000 ../cifar.bin")
                      .c_str()),
      0);
  std::vector<uint8_t> noise(size_t{16} << 20);
  std::mt19937 random(1);
  for (uint8_t& byte : noise) byte = static_cast<uint8_t>(random() & 63);
  const Shape shape{static_cast<int64_t>(noise.size()) / 1024, 1024};
  put((work() / "in.h5").string(), "/train/x", shape, noise, {.chunk = {256, 1024}, .deflate = 1});
  std::vector<std::pair<const char*, const char*>> commands{
      {"synth digits out.h5 --train 400000", "INT"},
      {"import mnist mnist out.h5", "INT"},
      {"import cifar10 cifar.bin out.h5", "TERM"},
      {"repack in.h5 out.h5 --codec deflate --threads 1", "INT"},
      {"split in.h5 out.h5 --x /train/x --parts a=0.5,b=0.5 --threads 1", "TERM"}};
#if LOCKSTEP_TEST_IMAGES
  std::filesystem::create_directories(work() / "images/a");
  const std::vector<std::byte> png = to_png({1500, 1500, 1}, smooth_image({1500, 1500, 1}));
  std::ofstream(work() / "images/a/0.png", std::ios::binary)
      .write(reinterpret_cast<const char*>(png.data()), static_cast<std::streamsize>(png.size()));
  for (int i = 1; i < 1000; ++i)
    std::filesystem::create_hard_link(work() / "images/a/0.png", work() / fmt::format("images/a/{}.png", i));
  commands.emplace_back("import images images out.h5 --size 1000 --threads 1", "TERM");
#endif
  for (const auto& [command, signal] : commands) {
    EXPECT_EQ(interrupted(command, signal), static_cast<int>(ExitCode::preempted)) << command;
    EXPECT_THAT(temporaries(), testing::IsEmpty()) << command;
    EXPECT_EQ(read_all(work() / "err"), fmt::format("\nerror: stopped by SIG{}\n", signal)) << command;
  }
  for (const char* command : {"stats in.h5 --x /train/x --threads 1", "import text text out.h5"}) {
    EXPECT_EQ(interrupted(command, "INT", /*writes=*/false), static_cast<int>(ExitCode::preempted))
        << command;
    EXPECT_THAT(temporaries(), testing::IsEmpty()) << command;
  }
}

}  // namespace
}  // namespace lockstep
