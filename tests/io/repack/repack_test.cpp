#include "io/repack/repack.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <map>
#include <mutex>
#include <numeric>
#include <thread>

#include "tests/io/data_files.h"
#include "tests/io/files.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::vector<float> floats_of(const std::string& path, const std::string& name) {
  const hdf5::Lock lock;
  const hdf5::File file = hdf5::File::open(path);
  const hdf5::Dataset dataset = file.dataset(name);
  std::vector<float> values(static_cast<size_t>(dataset.elements()));
  dataset.read(DType::f32, values.data());
  return values;
}

class Repack : public testing::Test {
 protected:
  /// 1000 samples of 8 numbers that repeat, in small uncompressed chunks, with labels that tell the sample.
  Repack() {
    put(in, "/train/x", {1000, 2, 4}, counting<float>(8000, 64), {{7, 1, 2}});
    put(in, "/train/y", {1000}, counting<int32_t>(1000));
    put(in, "/names", {1}, std::vector<float>{3});
    const hdf5::Lock lock;
    hdf5::File file = hdf5::File::open_for_writing(in);
    file.set_attribute("/", "source", std::string("a test"));
    file.set_attribute("/train/x", "scale", 0.5);
    file.set_attribute("/train", "count", int64_t{1000});
    H5Lcreate_soft("/train/x", file.id(), "/soft", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_hard(file.id(), "/train/y", file.id(), "/hard", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_external("elsewhere.h5", "/x", file.id(), "/outside", H5P_DEFAULT, H5P_DEFAULT);
  }

  const TemporaryFolder folder;
  const std::string in = folder / "in.h5", out = folder / "out.h5";
};

TEST_F(Repack, StoresWholeSamplesInCompressedChunksAndKeepsTheRest) {
  const std::vector<RepackedDataset> done =
      repack(in, out, {.codec = RepackOptions::Codec::deflate, .chunk_bytes = 1000, .threads = 2});
  EXPECT_EQ(floats_of(out, "/train/x"), floats_of(in, "/train/x"));
  EXPECT_EQ(floats_of(out, "/train/y"), floats_of(in, "/train/y"));
  EXPECT_EQ(floats_of(out, "/names"), std::vector<float>{3});
  const hdf5::Lock lock;
  const hdf5::File file = hdf5::File::open(out);
  EXPECT_EQ(file.dataset("/train/x").chunk(), (std::vector<int64_t>{31, 2, 4}));
  EXPECT_EQ(file.dataset("/train/x").filters().size(), 2);
  EXPECT_EQ(file.string_attribute("/", "source"), "a test");
  EXPECT_EQ(file.real_attribute("/train/x", "scale"), 0.5);
  EXPECT_EQ(file.integer_attribute("/train", "count"), 1000);
  EXPECT_EQ(floats_of(out, "/soft"), floats_of(in, "/train/x"));
  H5L_info_t link{};
  ASSERT_GE(H5Lget_info(file.id(), "/soft", &link, H5P_DEFAULT), 0);
  EXPECT_EQ(link.type, H5L_TYPE_SOFT);
  ASSERT_GE(H5Lget_info(file.id(), "/outside", &link, H5P_DEFAULT), 0);
  EXPECT_EQ(link.type, H5L_TYPE_EXTERNAL);
  H5O_info_t a{}, b{};
  H5Oget_info_by_name(file.id(), "/hard", &a, H5P_DEFAULT);
  H5Oget_info_by_name(file.id(), "/train/y", &b, H5P_DEFAULT);
  EXPECT_EQ(a.addr, b.addr);
  const auto x = std::ranges::find(done, "/train/x", &RepackedDataset::name);
  ASSERT_NE(x, done.end());
  EXPECT_EQ(x->chunk_samples, 31);
  EXPECT_EQ(x->bytes_before, 1001 * 2 * 2 * 2 * 4);  // 143 rows of 7, in four chunks each
  EXPECT_GT(x->bytes_after, 0);
  EXPECT_LT(x->bytes_after, 32000 / 4);
}

TEST_F(Repack, ChoosesByWhatCompressionGains) {
  std::vector<float> noise;
  uint32_t state = 1;
  for (int i = 0; i < 40000; ++i)
    noise.push_back(static_cast<float>((state = state * 1664525u + 1013904223u) >> 8) * 0x1p-24f);
  put(in, "/noise", {10000, 4}, noise);
  for (const RepackedDataset& dataset : repack(in, out, {})) {
    ASSERT_EQ(dataset.trials.size(), 2) << dataset.name;
    EXPECT_GT(dataset.trials[0].decode_rate, 0);
    if (dataset.name == "/noise") {
      EXPECT_LT(dataset.trials[0].ratio, 1.5);
    }
    EXPECT_EQ(dataset.level == 0, dataset.name == "/noise") << dataset.name;
  }
  EXPECT_EQ(floats_of(out, "/noise"), noise);
  const hdf5::Lock lock;
  EXPECT_EQ(hdf5::File::open(out).dataset("/noise").layout(), "contiguous");
}

TEST_F(Repack, ShufflesAllDataSetsAlikeHoweverLittleMemoryThereIs) {
  std::vector<std::vector<float>> orders;
  for (const int64_t memory : {int64_t{1} << 30, int64_t{5000}}) {
    const std::string file = folder / fmt::format("{}.h5", memory);
    repack(in, file, {.chunk_bytes = 320, .shuffle = true, .seed = 5, .memory_bytes = memory});
    const std::vector<float> x = floats_of(file, "/train/x"), y = floats_of(file, "/train/y");
    for (size_t i = 0; i < 1000; ++i)
      for (size_t j = 0; j < 8; ++j)
        ASSERT_EQ(x[8 * i + j],
                  static_cast<float>((static_cast<int64_t>(y[i]) * 8 + static_cast<int64_t>(j)) % 64));
    orders.push_back(y);
  }
  EXPECT_EQ(orders[0], orders[1]);
  EXPECT_FALSE(std::ranges::is_sorted(orders[0]));
  std::ranges::sort(orders[0]);
  EXPECT_EQ(orders[0], counting<float>(1000));
}

/// Messages between threads that stand for ranks.
class Mailboxes {
 public:
  RepackRanks of(int rank, int size) {
    return {.rank = rank,
            .size = size,
            .send =
                [this, rank](std::span<const std::byte> message, int to) {
                  const std::scoped_lock lock(mutex_);
                  messages_[{rank, to}].emplace_back(message.begin(), message.end());
                  ++sent_[rank];
                  arrived_.notify_all();
                },
            .receive =
                [this, rank](int from) {
                  std::unique_lock lock(mutex_);
                  std::deque<std::vector<std::byte>>& box = messages_[{from, rank}];
                  arrived_.wait(lock, [&] { return !box.empty(); });
                  std::vector<std::byte> message = std::move(box.front());
                  box.pop_front();
                  return message;
                }};
  }
  int sent_by(int rank) { return sent_[rank]; }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::map<std::pair<int, int>, std::deque<std::vector<std::byte>>> messages_;
  std::map<int, int> sent_;
};

/// Repacks on threads that stand for ranks; returns the error, or "".
std::string repack_on(int size, const std::string& in, const std::string& out, const RepackOptions& options,
                      const std::string& in_of_helpers = "") {
  Mailboxes mailboxes;
  std::vector<std::thread> helpers;
  for (int rank = 1; rank < size; ++rank)
    helpers.emplace_back([&, rank] {
      help_to_repack(in_of_helpers.empty() ? in : in_of_helpers, options, mailboxes.of(rank, size));
    });
  std::string problem;
  try {
    repack(in, out, options, mailboxes.of(0, size));
    for (int rank = 1; rank < size; ++rank) EXPECT_GT(mailboxes.sent_by(rank), 2) << rank;
  } catch (const Error& error) {
    problem = error.what();
    // A program would end here, and the other ranks with it.
    for (int rank = 1; rank < size; ++rank) mailboxes.of(0, size).send({}, rank);
  }
  for (std::thread& helper : helpers) helper.join();
  return problem;
}

TEST_F(Repack, WritesTheSameBytesOnAnyNumberOfRanks) {
  for (const auto& [name, options] : std::map<std::string, RepackOptions>{
           {"deflate", {.codec = RepackOptions::Codec::deflate, .chunk_bytes = 1000}},
           {"none", {.codec = RepackOptions::Codec::none, .chunk_bytes = 1000}},
           {"shuffled", {.chunk_bytes = 320, .shuffle = true, .seed = 5, .memory_bytes = 5000}}}) {
    std::string of_one;
    for (const int ranks : {1, 2, 4}) {
      const std::string file = folder / fmt::format("{}-{}.h5", name, ranks);
      EXPECT_EQ(repack_on(ranks, in, file, options), "");
      const std::string bytes = content_of(file);
      if (ranks == 1) of_one = bytes;
      EXPECT_TRUE(bytes == of_one) << name << " on " << ranks << " ranks";
    }
  }
  // Nor do they depend on the time.
  const hdf5::Lock lock;
  const hdf5::File file = hdf5::File::open(folder / "none-1.h5");
  for (const char* object : {"/", "/train", "/train/x"}) {
    H5O_info_t info{};
    ASSERT_GE(H5Oget_info_by_name(file.id(), object, &info, H5P_DEFAULT), 0);
    EXPECT_EQ(info.btime, 0) << object;
  }
}

TEST_F(Repack, AnErrorOfAnotherRankIsOneOfRank0) {
  EXPECT_THAT(repack_on(2, in, out, {.chunk_bytes = 320}, folder / "none.h5"), HasSubstr("none.h5"));
  EXPECT_FALSE(fs::exists(out));
}

TEST_F(Repack, LeavesNothingBehindWhenItFails) {
  EXPECT_THAT(data_error_of([&] { repack(in, folder / "nowhere/out.h5", {}); }), HasSubstr("nowhere"));
  // Damages a chunk of a compressed copy.
  const std::string damaged = folder / "damaged.h5";
  repack(in, damaged, {.codec = RepackOptions::Codec::deflate, .chunk_bytes = 1000});
  std::string bytes = content_of(damaged);
  const size_t zlib = bytes.find("\x78\x5e");
  const size_t start = zlib != std::string::npos ? zlib : bytes.find("\x78\x01");
  ASSERT_NE(start, std::string::npos);
  for (size_t i = start; i < start + 40; ++i) bytes[i] = static_cast<char>(~bytes[i]);
  write_raw(damaged, bytes);
  EXPECT_THAT(data_error_of([&] { repack(damaged, out, {}); }), HasSubstr("cannot be read"));
  EXPECT_FALSE(fs::exists(out));
  int64_t files = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(folder.path())) ++files;
  EXPECT_EQ(files, 2);
}

}  // namespace
}  // namespace lockstep
