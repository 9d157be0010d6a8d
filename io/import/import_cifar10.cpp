#include "io/import/import_cifar10.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <vector>

#include "io/checkpoint/atomic_hdf5.h"
#include "io/dataset/targets/labelled_group.h"
#include "src/core/error.h"

namespace lockstep {

namespace {

namespace fs = std::filesystem;

constexpr int64_t kSide = 32, kChannels = 3, kClasses = 10;
constexpr int64_t kPixels = kSide * kSide, kRecord = 1 + kChannels * kPixels;

/// The files of a part in a folder, in the order of their names.
std::vector<fs::path> files_of(const fs::path& folder, const std::string& prefix, const std::string& single) {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name == single || (name.starts_with(prefix) && name.ends_with(".bin"))) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

int64_t records_in(const fs::path& path) {
  std::error_code error;
  const auto bytes = static_cast<int64_t>(fs::file_size(path, error));
  if (error) fail(ExitCode::data, "{}: {}.", path.string(), error.message());
  if (bytes > 0 && bytes % kRecord == 0) return bytes / kRecord;
  fail(
      ExitCode::data,
      "{}: has {} bytes, which is not a whole number of records of {} bytes (a class and 32 x 32 x 3 values), "
      "so it is cut short or not of CIFAR-10's binary version.{}",
      path.string(), bytes, kRecord,
      bytes > 0 && bytes % (kRecord + 1) == 0
          ? " Its size fits CIFAR-100, whose records have two classes; that is not supported."
          : "");
}

/// Three planes -> the channels of each pixel together.
void interleave(const uint8_t* planes, uint8_t* image) {
  for (int64_t p = 0; p < kPixels; ++p)
    for (int64_t c = 0; c < kChannels; ++c) image[p * kChannels + c] = planes[c * kPixels + p];
}

void copy_records(hdf5::File& file, const std::string& group, int64_t first, const fs::path& path,
                  int64_t records, const std::function<void(int64_t bytes)>& progress) {
  constexpr int64_t kBlock = 1024;
  std::ifstream in(path, std::ios::binary);
  if (!in) fail(ExitCode::data, "{}: cannot open it: {}.", path.string(), std::strerror(errno));
  std::vector<uint8_t> block(static_cast<size_t>(kBlock * kRecord));
  std::vector<uint8_t> images(static_cast<size_t>(kBlock * kChannels * kPixels)), classes(kBlock);
  for (int64_t begin = 0; begin < records; begin += kBlock) {
    const int64_t count = std::min(kBlock, records - begin);
    if (!in.read(reinterpret_cast<char*>(block.data()), count * kRecord))
      fail(ExitCode::data, "{}: ends before record {}: it was changed while it was read.", path.string(),
           begin + count);
    for (int64_t i = 0; i < count; ++i) {
      const uint8_t* const record = block.data() + i * kRecord;
      if (record[0] >= kClasses)
        fail(ExitCode::data, "{}: record {} has the class {}; CIFAR-10 has classes 0 to {}.", path.string(),
             begin + i, record[0], kClasses - 1);
      classes[static_cast<size_t>(i)] = record[0];
      interleave(record + 1, images.data() + i * kChannels * kPixels);
    }
    file.write_rows(group + "/x", first + begin,
                    {images.data(), DType::u8, {count, kSide, kSide, kChannels}});
    file.write_rows(group + "/y", first + begin, {classes.data(), DType::u8, {count}});
    progress(count * kRecord);
  }
}

int64_t write_part(hdf5::File& file, const std::string& group, const std::vector<fs::path>& paths,
                   const std::function<void(int64_t bytes)>& progress) {
  std::vector<int64_t> records;
  int64_t all = 0;
  for (const fs::path& path : paths) {
    records.push_back(records_in(path));
    all += records.back();
  }
  create_labelled_group(file, group, {all, kSide, kSide, kChannels});
  int64_t first = 0;
  for (size_t i = 0; i < paths.size(); ++i) {
    copy_records(file, group, first, paths[i], records[i], progress);
    first += records[i];
  }
  return all;
}

}  // namespace

ImportedSamples import_cifar10(const std::string& source, const std::string& out,
                               const std::function<void(int64_t done, int64_t all)>& progress) {
  std::vector<fs::path> train = {source}, test;
  std::error_code error;
  if (!fs::exists(source, error)) fail(ExitCode::data, "{}: no such file or folder.", source);
  if (fs::is_directory(source, error)) {
    train = files_of(source, "data_batch_", "train.bin");
    test = files_of(source, "test_batch", "test.bin");
    if (train.empty())
      fail(ExitCode::data,
           "{}: no file of CIFAR-10's training images there. Looked for: data_batch_*.bin, train.bin.",
           source);
  }
  AtomicHdf5 output(out);
  ImportedSamples imported;
  int64_t done = 0, all = 0;
  for (const auto* part : {&train, &test})
    for (const fs::path& path : *part) all += records_in(path) * kRecord;
  const auto add = [&](int64_t bytes) {
    if (progress) progress(done += bytes, all);
  };
  imported.train = write_part(output.file(), "/train", train, add);
  if (!test.empty()) imported.test = write_part(output.file(), "/test", test, add);
  output.commit();
  return imported;
}

}  // namespace lockstep
