// `lockstep data import images`, `npy` and `npz`, by the real program.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "src/core/text/json.h"
#include "tests/io/images/image_files.h"
#include "tests/io/import/npy_bytes.h"
#include "tests/launch/commands/command_line.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class DataImport : public CommandLine {};

#if LOCKSTEP_TEST_IMAGES

TEST_F(DataImport, OfImagesTrainsAndKeepsTheNamesOfClasses) {
  for (int i = 0; i < 30; ++i) {
    const std::string folder = i % 2 == 0 ? "in/cat" : "in/dog";
    fs::create_directories(work() / folder);
    const std::vector<std::byte> png = to_png({16, 12, 3}, smooth_image({16, 12, 3}, i));
    write(fmt::format("{}/{}.png", folder, i), {reinterpret_cast<const char*>(png.data()), png.size()});
  }
  write("in/cat/notes.txt", "");
  const Outcome outcome = run("data import images in out.h5 --size 8 --validation 0.2");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("class  train  validation\n  cat     12           3\n  dog     12           3\n"
                              "  all     24           6\n"),
                    HasSubstr("left out: 1 file of another kind: 1 .txt\n  cat/notes.txt\n"),
                    HasSubstr("wrote out.h5: images of 8 x 8, 3 channels\n")));
  const Outcome train =
      run("train --run run --set data.train=out.h5:/train --set data.validation=out.h5:/validation --set "
          "model.name=mlp --set run.device=cpu --set train.steps=2 --set train.global_batch=8");
  ASSERT_EQ(train.exit_code, 0) << train.err;
  EXPECT_THAT(run("eval run --split validation").out, AllOf(HasSubstr("cat"), HasSubstr("dog")));
  const nlohmann::json json = parse_json(run("data import images in out.h5 --size 8 --force --json").out);
  EXPECT_THAT(json["classes"], ElementsAre("cat", "dog"));
  EXPECT_EQ(json["parts"][0]["classes"]["dog"], 15);
  EXPECT_EQ(json["other"][0]["file"], "cat/notes.txt");
}

TEST_F(DataImport, OfImagesRefusesWhatMakesNoSense) {
  fs::create_directories(work() / "in/cat");
  const auto refusal = [&](const std::string& options, int exit_code = 2) {
    const Outcome outcome = run("data import images in out.h5 " + options);
    EXPECT_EQ(outcome.exit_code, exit_code) << options;
    EXPECT_FALSE(fs::exists(work() / "out.h5"));
    return outcome.err;
  };
  EXPECT_THAT(refusal("--size 0"), HasSubstr("--size 0: write a height and a width"));
  EXPECT_THAT(refusal("--size 1,2,3"), HasSubstr("--size 1,2,3"));
  EXPECT_THAT(refusal("--fit cropped"), HasSubstr("crop"));
  EXPECT_THAT(refusal("--channels 2"), HasSubstr("--channels: unknown value '2'"));
  EXPECT_THAT(refusal("--test 1"), HasSubstr("--test 1: a share is at least 0 and below 1"));
  EXPECT_THAT(refusal("--validation 0.5 --test 0.5"), HasSubstr("leave nothing to train on"));
  EXPECT_THAT(refusal("--values"), HasSubstr("name their table with --labels"));
  EXPECT_THAT(refusal("", 3), HasSubstr("no sub-folder there holds a .jpg, .jpeg or .png file"));
}

#endif

TEST_F(DataImport, OfArraysSaysWhatItWrote) {
  const std::string array =
      npy_bytes("{'descr': '|u1', 'fortran_order': False, 'shape': (6, 2), }", 1, std::string(12, '\1'));
  write("x.npy", array);
  write("a.npz", zip_bytes({{"x_train.npy", array, true}, {"more.npy", array}}));
  const Outcome npy = run("data import npy x.npy out.h5");
  EXPECT_THAT(npy.out, HasSubstr("data set  array  of\n/train/x  x.npy  uint8 (6, 2)\nwrote out.h5\n"))
      << npy.err;
  const Outcome npz = run("data import npz a.npz out.h5 --force");
  EXPECT_THAT(npz.out,
              AllOf(HasSubstr("/train/x  x_train  uint8 (6, 2)\n"), HasSubstr("left out: more (name")));
  EXPECT_EQ(run("data import npy x.npy").exit_code, 2);
  EXPECT_EQ(run("data import npy x.npy x.npy x.npy out.h5 --force").exit_code, 2);
  EXPECT_THAT(run("data import npz a.npz out.h5 --force --y more").err, HasSubstr("name it with --x"));
  EXPECT_THAT(run("data import npy x.npy out.h5").err, HasSubstr("out.h5 exists already"));
  const Outcome missing = run("data import npy y.npy other.h5");
  EXPECT_EQ(missing.exit_code, 3);
  EXPECT_THAT(missing.err, HasSubstr("y.npy: cannot open it: No such file"));
  EXPECT_THAT(left_behind(), ElementsAre("a.npz", "out.h5", "x.npy"));
}

}  // namespace
}  // namespace lockstep
