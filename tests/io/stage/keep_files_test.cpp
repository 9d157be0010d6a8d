#include "io/stage/keep_files.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <set>
#include <thread>

#include "io/dataset/order/choose_order.h"
#include "io/stage/stage_folder.h"
#include "tests/io/data_files.h"
#include "tests/io/files.h"
#include "tests/io/limited_disk.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

constexpr int64_t kKept = KeptFile::kPieceBytes;

/// Text of which each byte depends on its place and on `seed`.
std::string text_of(int64_t bytes, int64_t seed = 0) {
  std::string text(static_cast<size_t>(bytes), '\0');
  for (int64_t i = 0; i < bytes; ++i)
    text[static_cast<size_t>(i)] = static_cast<char>((i * 7 + i / 1000 + seed) & 0xff);
  return text;
}

class Keeping : public testing::Test {
 protected:
  std::string make_file(const std::string& name, const std::string& text) {
    write_raw(work / name, text);
    return work / name;
  }
  std::string kept_path(const std::string& file) { return stage_path(file, local) + ".kept"; }

  /// Bytes [offset, offset + count) of a file, as any reader gets them that opens it now.
  static std::string read(const std::string& file, int64_t offset, int64_t count) {
    const int descriptor = ::open(file.c_str(), O_RDONLY);
    std::string text(static_cast<size_t>(count), '\0');
    const std::string problem = read_through(kept_file(descriptor).get(), descriptor, offset,
                                             std::as_writable_bytes(std::span(text)));
    ::close(descriptor);
    return problem.empty() ? text : problem;
  }

  const TemporaryFolder work;
  const std::string local = work / "local";
};

TEST_F(Keeping, ReadsEachPartOfTheOriginalOnce) {
  const std::string text = text_of(5 * kKept + 17), file = make_file("x.h5", text);
  {
    const KeptFiles kept({file}, local, {});
    EXPECT_EQ(kept.bytes(), 5 * kKept + 17);
    EXPECT_EQ(kept.kept_bytes(), 0);
    EXPECT_EQ(read(file, 100, 50), text.substr(100, 50));
    EXPECT_EQ(kept.read_from_originals(), kKept);
    EXPECT_EQ(kept.read_from_copies(), 0);
    EXPECT_EQ(read(file, 3, 1000), text.substr(3, 1000));
    EXPECT_EQ(kept.read_from_originals(), kKept);
    EXPECT_EQ(kept.read_from_copies(), 1000);
    // From inside of one piece to inside of another, and the end of the file.
    EXPECT_TRUE(read(file, 2 * kKept - 5, kKept + 10) == text.substr(2 * kKept - 5, kKept + 10));
    EXPECT_EQ(kept.kept_bytes(), 4 * kKept);
    EXPECT_TRUE(read(file, 0, 5 * kKept + 17) == text);
    EXPECT_EQ(kept.kept_bytes(), kept.bytes());
    const int64_t so_far = kept.read_from_originals();
    EXPECT_TRUE(read(file, 1, 5 * kKept) == text.substr(1, 5 * kKept));
    EXPECT_EQ(kept.read_from_originals(), so_far);
    EXPECT_EQ(read(file, 5 * kKept, 18), "the file ends before its values do");
  }
  EXPECT_TRUE(content_of(kept_path(file)) == text);
  EXPECT_EQ(kept_file(STDIN_FILENO), nullptr);
}

TEST_F(Keeping, FillsSeveralPiecesOfMemory) {
  // Longer than what is read at a time.
  const std::string text = text_of(600 * kKept), file = make_file("x.h5", text);
  const KeptFiles kept({file}, local, {});
  const int descriptor = ::open(file.c_str(), O_RDONLY);
  for (const int64_t from_copy : {0, 1}) {
    std::string a(3, ' '), b(static_cast<size_t>(550 * kKept), ' '), c(static_cast<size_t>(kKept + 1), ' ');
    std::array<iovec, 3> pieces = {{{a.data(), a.size()}, {b.data(), b.size()}, {c.data(), c.size()}}};
    EXPECT_EQ(read_through(kept_file(descriptor).get(), descriptor, 1000, pieces), "");
    EXPECT_TRUE(a + b + c == text.substr(1000, a.size() + b.size() + c.size()));
    EXPECT_EQ(kept.read_from_copies() > 0, from_copy == 1);
  }
  ::close(descriptor);
}

TEST_F(Keeping, TheNextProcessUsesThePiecesThatAreGood) {
  const std::string text = text_of(4 * kKept + 9), file = make_file("x.h5", text);
  {
    const KeptFiles kept({file}, local, {});
    read(file, kKept, 3 * kKept + 9);
    EXPECT_EQ(kept.kept_bytes(), 3 * kKept + 9);
  }
  {  // One piece is lost, as after a power failure, and the last record was cut off.
    std::fstream copy(kept_path(file), std::ios::in | std::ios::out | std::ios::binary);
    copy.seekp(2 * kKept + 3);
    copy.put('\x7f');
    std::ofstream(kept_path(file) + ".log", std::ios::app) << "killed";
  }
  {
    const KeptFiles kept({file}, local, {});
    EXPECT_EQ(kept.kept_bytes(), 2 * kKept + 9);
    EXPECT_TRUE(read(file, 0, 4 * kKept + 9) == text);
  }
  {
    const KeptFiles kept({file}, local, {});
    EXPECT_EQ(kept.kept_bytes(), 4 * kKept + 9);
  }
  const std::string other = text_of(4 * kKept + 9, 1);
  make_file("x.h5", other);
  fs::last_write_time(file, fs::file_time_type::clock::now() + std::chrono::seconds(5));
  const KeptFiles kept({file}, local, {});
  EXPECT_EQ(kept.kept_bytes(), 0);
  EXPECT_TRUE(read(file, 0, 4 * kKept + 9) == other);
}

TEST_F(Keeping, AFullDiskEndsKeepingButNotReading) {
  const std::string text = text_of(4 * kKept), file = make_file("x.h5", text);
  const KeptFiles kept({file}, local, {});
  testing::internal::CaptureStderr();
  {
    const FileSizeLimit limit(static_cast<rlim_t>(2 * kKept));
    EXPECT_TRUE(read(file, 0, kKept) == text.substr(0, kKept));
    EXPECT_TRUE(read(file, 0, 4 * kKept) == text);
    EXPECT_TRUE(read(file, 3 * kKept, kKept) == text.substr(3 * kKept, kKept));
  }
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr(kept_path(file) + " cannot be written: File too large. What this machine does not"));
  EXPECT_EQ(kept.kept_bytes(), kKept);
  EXPECT_TRUE(read(file, 0, 4 * kKept) == text);
}

TEST_F(Keeping, ProcessesWithOneTableWriteEachPieceOnce) {
  constexpr int64_t kPieces = 200;
  const std::string text = text_of(kPieces * kKept), file = make_file("x.h5", text);
  fs::create_directories(local);
  std::vector<uint8_t> pieces(kPieces);
  uint32_t is_closed = 0;
  const KeptFile::Table table{pieces, &is_closed};
  KeptFile::prepare(file, kept_path(file), table, 1);
  std::vector<std::thread> threads;
  for (int64_t i = 0; i < 4; ++i)
    threads.emplace_back([&, i] {
      KeptFile copy(file, kept_path(file), table);
      const int descriptor = ::open(file.c_str(), O_RDONLY);
      for (int64_t at = i * 1000; at < kPieces * kKept; at += 3 * kKept / 2) {
        const int64_t count = std::min(3 * kKept / 2, kPieces * kKept - at);
        std::string got(static_cast<size_t>(count), ' ');
        EXPECT_EQ(read_through(&copy, descriptor, at, std::as_writable_bytes(std::span(got))), "");
        EXPECT_TRUE(got == text.substr(static_cast<size_t>(at), static_cast<size_t>(count)));
      }
      ::close(descriptor);
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(content_of(kept_path(file)) == text);
  EXPECT_EQ(fs::file_size(kept_path(file) + ".log"), 32 + kPieces * 16);
}

TEST_F(Keeping, AFolderThatCannotBeMadeIsAnError) {
  const std::string file = make_file("x.h5", "abc");
  EXPECT_THAT(error_of([&] { KeptFiles({file}, work / "x.h5/local", {}); }),
              HasSubstr("data.stage: cannot create " + (work / "x.h5/local")));
}

/// What a machine has read after each of some epochs of its part of the batches.
struct MachineReads {
  std::vector<int64_t> from_originals;
  std::vector<std::vector<float>> values;  ///< of each epoch, in order
  int64_t kept = 0;
};

// Two machines, one after the other, as a process can only be on one.
TEST_F(Keeping, WithALocalShuffleAMachineReadsItsPartOfTheOriginalOnce) {
  constexpr int64_t kSamples = 8192, kValues = 512, kBatch = 32, kChunk = 64;  // chunks of 128 KiB
  const std::string file = work / "d.h5";
  std::vector<float> values(kSamples * kValues);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i / kValues + i % 7);
  put(file, "/x", {kSamples, kValues}, values, {{kChunk, kValues}, 0});
  const int64_t bytes = FileState::of(file).bytes;
  const DatasetOptions streamed{.memory_budget = 1 << 21, .probe = false};
  Order order;
  const auto run = [&](Shuffle shuffle, int64_t machine, const std::string& folder) {
    const KeptFiles kept({file}, folder, {});
    const auto data = open_dataset({{file}, "/x", ""}, streamed);
    order = choose_order(shuffle, *data, kBatch, 1 << 21);
    const Sampler sampler(7, kSamples, kBatch, order);
    MachineReads reads;
    for (const int64_t epoch : {0, 1, 2}) {
      std::vector<float>& read = reads.values.emplace_back();
      for (int64_t step = 0; step < sampler.steps_per_epoch(); ++step) {
        std::vector<int64_t> samples;
        for (int64_t slot = machine * kBatch / 2; slot < (machine + 1) * kBatch / 2; ++slot)
          samples.push_back(sampler.sample(epoch, step, slot));
        std::vector<float> x(samples.size() * kValues);
        data->read(samples, reinterpret_cast<std::byte*>(x.data()), nullptr);
        for (size_t i = 0; i < samples.size(); ++i) {
          EXPECT_EQ(x[i * kValues + 5], static_cast<float>(samples[i] + (samples[i] * kValues + 5) % 7));
          read.push_back(static_cast<float>(samples[i]));
        }
      }
      reads.from_originals.push_back(kept.read_from_originals());
    }
    reads.kept = kept.kept_bytes();
    return reads;
  };
  std::array<std::vector<float>, 3> all;
  for (const int64_t machine : {0, 1}) {
    const MachineReads reads = run(Shuffle::local, machine, work / fmt::format("local{}", machine));
    // Half of the chunks, each of which begins and ends inside a piece.
    EXPECT_NEAR(static_cast<double>(reads.kept), 0.55 * static_cast<double>(bytes), 0.05 * bytes);
    EXPECT_GE(reads.from_originals[0], bytes / 2);
    EXPECT_EQ(reads.from_originals[2], reads.from_originals[0]);
    EXPECT_NE(reads.values[0], reads.values[1]);
    for (size_t epoch = 0; epoch < 3; ++epoch)
      all[epoch].insert(all[epoch].end(), reads.values[epoch].begin(), reads.values[epoch].end());
  }
  ASSERT_TRUE(order.windows.keeps_runs);
  for (std::vector<float>& epoch : all) {
    std::ranges::sort(epoch);
    ASSERT_EQ(epoch.size(), kSamples);
    for (size_t i = 0; i < epoch.size(); ++i) ASSERT_EQ(epoch[i], static_cast<float>(i));
  }
  // Without it, it comes to have nearly all.
  const MachineReads reads = run(Shuffle::window, 0, work / "window");
  EXPECT_GT(reads.from_originals[2], reads.from_originals[0] + bytes / 4);
  EXPECT_GT(reads.kept, bytes * 8 / 10);
}

}  // namespace
}  // namespace lockstep
