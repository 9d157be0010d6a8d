#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <regex>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "tests/io/data_files.h"
#include "tests/support/binary.h"
#include "tests/support/run_program.h"

namespace lockstep {

inline std::string read_all(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

inline std::vector<std::string> words(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}

/// The lines that Lockstep itself wrote to standard error; mpirun adds paragraphs of its own.
inline std::vector<std::string> errors_in(const std::string& text) {
  static const std::regex ours(R"(^(\[rank \d+\] )?error: .*)");
  std::vector<std::string> found;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::erase(line, '\0');  // Open MPI 5 puts one behind each paragraph of its own
    if (std::regex_match(line, ours)) found.push_back(line);
  }
  return found;
}

inline std::vector<std::string> files_below(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    names.push_back(std::filesystem::relative(entry.path(), folder).string());
  std::sort(names.begin(), names.end());
  return names;
}

/// A folder of wrong data and checkpoints, and commands that meet them.
class BadInput : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TemporaryFolder>();
    std::filesystem::create_directory(work());
    make_data();
    make_checkpoints();
  }
  static void TearDownTestSuite() { folder_.reset(); }

  static std::string at(const std::string& name) { return *folder_ / name; }
  /// Where commands run.
  static std::string work() { return at("work"); }

  /// The words of a command, in which '@' stands for the folder of the files below, TRAIN for a small
  /// training, and NET for one without a model.
  static std::vector<std::string> arguments(const std::string& text) {
    std::string command =
        std::regex_replace(text, std::regex("^TRAIN"),
                           "train --device cpu --set model.name=mlp --set model.hidden=[64] --set "
                           "train.global_batch=8 --set train.epochs=2");
    command =
        std::regex_replace(command, std::regex("^NET"), "train --device cpu --set train.global_batch=8");
    command = std::regex_replace(command, std::regex("DATA"), "--set data.train=@data.h5:/good");
    return words(std::regex_replace(command, std::regex("@"), at("")));
  }
  static ProgramResult run(const std::string& text, int ranks = 1) {
    return run_program(lockstep_command(ranks, arguments(text)), work());
  }
  /// The same through a shell, after `first`: a limit on what the program may use.
  static ProgramResult run_after(const std::string& first, const std::string& text) {
    std::string command = first + "; exec " + lockstep_binary();
    for (const std::string& word : arguments(text)) command += " '" + word + "'";
    return run_program({"bash", "-c", command}, work());
  }

 private:
  static constexpr int64_t kSamples = 40;

  static void make_data() {
    const std::string file = at("data.h5");
    const std::vector<uint8_t> x = counting<uint8_t>(kSamples * 64, 251);
    const std::vector<int64_t> y = counting<int64_t>(kSamples, 3);
    put<uint8_t>(file, "/good/x", {kSamples, 8, 8}, x);
    put<int64_t>(file, "/good/y", {kSamples}, y);
    put<uint8_t>(file, "/short/x", {kSamples, 8, 8}, x);
    put<int64_t>(file, "/short/y", {kSamples - 1}, counting<int64_t>(kSamples - 1, 3));
    put<uint8_t>(file, "/wide/x", {kSamples / 2, 16, 8}, x);
    put<int64_t>(file, "/wide/y", {kSamples / 2}, counting<int64_t>(kSamples / 2, 3));
    std::vector<int64_t> wrong = y;
    wrong[17] = -2;
    put<uint8_t>(file, "/negative/x", {kSamples, 8, 8}, x);
    put<int64_t>(file, "/negative/y", {kSamples}, wrong);
    wrong[17] = 7;
    put<uint8_t>(file, "/outside/x", {kSamples, 8, 8}, x);
    put<int64_t>(file, "/outside/y", {kSamples}, wrong);
    std::vector<float> floats(static_cast<size_t>(kSamples) * 4, 0.5f),
        targets(static_cast<size_t>(kSamples), 1.0f);
    put<float>(file, "/nan_target/x", {kSamples, 4}, floats);
    put<float>(file, "/flat/x", {kSamples, 4}, floats);
    put<int64_t>(file, "/flat/y", {kSamples}, y);
    targets[23] = std::nanf("");
    put<float>(file, "/nan_target/y", {kSamples}, targets);
    floats[5] = std::nanf("");
    put<float>(file, "/nan/x", {kSamples, 4}, floats);
    put<int64_t>(file, "/nan/y", {kSamples}, y);
    put<int64_t>(file, "/empty/y", {0}, {});
    put<uint8_t>(file, "/empty/x", {0, 8, 8}, {});
    for (const auto& [group, extent] : {std::pair("/mask", 8), std::pair("/small_mask", 6)}) {
      put<uint8_t>(file, std::string(group) + "/x", {kSamples, 8, 8}, x);
      put<uint8_t>(file, std::string(group) + "/y", {kSamples, extent, extent},
                   counting<uint8_t>(kSamples * extent * extent, 3));
    }
    put<uint8_t>(file, "/tokens/x", {kSamples, 8}, counting<uint8_t>(kSamples * 8, 5));
    put<uint8_t>(file, "/other_tokens/x", {kSamples, 8}, counting<uint8_t>(kSamples * 8, 7));
    make_networks();

    const std::string bytes = read_all(file);
    std::ofstream(at("cut.h5"), std::ios::binary) << bytes.substr(0, bytes.size() / 2);
    std::ofstream(at("text.h5")) << "this is no HDF5 file\n";
    std::filesystem::create_directory(at("folder"));
    std::ofstream(at("folder/train-images-idx3-ubyte")) << "not MNIST";
    std::filesystem::create_directory(at("empty run"));
  }

  static void make_networks() {
    std::ofstream(at("mask.toml")) << "[[layer]]\nkind = \"conv2d\"\nfilters = \"classes\"\nkernel = 1\n";
    const std::string end = "[[layer]]\nkind = \"linear\"\nname = \"scores\"\noutputs = \"classes\"\n";
    std::ofstream(at("four-tokens.toml"))
        << "[[layer]]\nkind = \"embedding\"\nname = \"embed\"\nentries = 4\nwidth = 3\n" + end;
    std::ofstream(at("cycle.toml"))
        << "[[layer]]\nkind = \"flatten\"\n[[layer]]\nkind = \"add\"\nname = \"sum\"\ninputs = [\"flatten_1\", "
           "\"again\"]\n[[layer]]\nkind = \"relu\"\nname = \"again\"\n" +
               end;
    std::ofstream(at("wide-window.toml"))
        << "[[layer]]\nkind = \"max_pool2d\"\nwindow = 9\n[[layer]]\nkind = \"flatten\"\n" + end;
  }

  static void make_checkpoints() {
    const ProgramResult trained = run("TRAIN DATA --run @run");
    ASSERT_EQ(trained.exit_code, 0) << trained.err;
    const std::string checkpoint = at("run/checkpoints/step-00000010.h5");
    std::string bytes = read_all(checkpoint);
    // The middle of the file lies in a tensor: they are most of it.
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
    std::ofstream(at("flipped.h5"), std::ios::binary) << bytes;
    std::ofstream(at("cut-checkpoint.h5"), std::ios::binary) << bytes.substr(0, 3000);
  }

  static inline std::unique_ptr<TemporaryFolder> folder_;
};

}  // namespace lockstep
