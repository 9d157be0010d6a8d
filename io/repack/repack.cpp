#include "io/repack/repack.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <utility>

#include "io/dataset/order/permutation.h"
#include "io/dataset/rows/stored_rows.h"
#include "io/hdf5/filters/pipeline.h"
#include "io/hdf5/sources/sources.h"
#include "io/repack/copy_objects.h"
#include "io/repack/encode_chunk.h"
#include "src/core/error.h"
#include "src/core/thread_pool.h"

namespace lockstep {

namespace {

using Clock = std::chrono::steady_clock;
using hdf5::Id;

constexpr double kWorthwhileRatio = 1.5;  // below it, decoding costs more than it saves in reading

/// A file under a temporary name, which is removed unless it is renamed.
class Output {
 public:
  explicit Output(const std::string& path)
      : path_(path),
        temporary_(fmt::format("{}.tmp-{}", path, ::getpid())),
        file_(hdf5::File::create(temporary_)) {}
  ~Output() {
    if (!is_renamed_) ::unlink(temporary_.c_str());
  }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  hdf5::File& file() { return file_; }
  void commit() {
    file_.close();
    std::error_code status;
    std::filesystem::rename(temporary_, path_, status);
    if (status) fail(ExitCode::data, "{} cannot be renamed to {}: {}", temporary_, path_, status.message());
    is_renamed_ = true;
  }

 private:
  std::string path_, temporary_;
  hdf5::File file_;
  bool is_renamed_ = false;
};

/// The stored values of a data set, row by row, without conversion.
class Rows {
 public:
  explicit Rows(const hdf5::Dataset& dataset)
      : dataset_(dataset), element_bytes_(H5Tget_size(dataset.type_id())), row_bytes_(element_bytes_) {
    for (size_t axis = 1; axis < dataset.extents().size(); ++axis)
      row_bytes_ *= static_cast<size_t>(dataset.extents()[axis]);
  }

  int64_t count() const { return dataset_.extents()[0]; }
  size_t element_bytes() const { return element_bytes_; }
  size_t row_bytes() const { return row_bytes_; }

  void read(int64_t first, int64_t count, std::byte* out) const {
    // What is decoded here is checked, where libhdf5 accepts a chunk that is too short.
    if (const hdf5::ElementType& type = dataset_.type(); type.exact && !type.big_endian)
      return dataset_.read_rows(first, count, *type.exact, out);
    const hdf5::Lock lock;
    std::vector<hsize_t> start(dataset_.extents().size(), 0);
    std::vector<hsize_t> size(dataset_.extents().begin(), dataset_.extents().end());
    start[0] = static_cast<hsize_t>(first);
    size[0] = static_cast<hsize_t>(count);
    const Id space(H5Dget_space(dataset_.id()));
    const Id memory(H5Screate_simple(static_cast<int>(size.size()), size.data(), nullptr));
    if (H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start.data(), nullptr, size.data(), nullptr) < 0 ||
        H5Dread(dataset_.id(), dataset_.type_id(), memory.get(), space.get(), H5P_DEFAULT, out) < 0)
      fail(ExitCode::data, "{}: rows {} to {} cannot be read: {}.", dataset_.where(), first,
           first + count - 1, hdf5::last_error());
  }

 private:
  const hdf5::Dataset& dataset_;
  size_t element_bytes_, row_bytes_;
};

/// Deflate at some levels, on chunks from all over the data set.
std::vector<CodecTrial> try_codecs(const Rows& rows, int64_t chunk_rows) {
  constexpr int64_t kChunks = 8;
  const int64_t chunks = std::min(kChunks, (rows.count() + chunk_rows - 1) / chunk_rows);
  std::vector<CodecTrial> trials{{.level = 1}, {.level = 4}};
  std::vector<double> stored(trials.size()), seconds(trials.size());
  double decoded = 0;
  filters::Scratch scratch;
  for (int64_t i = 0; i < chunks; ++i) {
    const int64_t first = (rows.count() - 1) / chunk_rows * i / chunks * chunk_rows;
    const int64_t count = std::min(chunk_rows, rows.count() - first);
    std::vector<std::byte> values(static_cast<size_t>(count) * rows.row_bytes());
    rows.read(first, count, values.data());
    decoded += static_cast<double>(values.size());
    const filters::Pipeline pipeline(
        {{filters::kShuffle, {static_cast<unsigned>(rows.element_bytes())}}, {filters::kDeflate, {}}},
        values.size());
    for (size_t t = 0; t < trials.size(); ++t) {
      const std::vector<std::byte> encoded = encode_chunk(values, rows.element_bytes(), trials[t].level);
      stored[t] += static_cast<double>(encoded.size());
      const Clock::time_point start = Clock::now();
      pipeline.decode(encoded, 0, scratch);
      seconds[t] += std::chrono::duration<double>(Clock::now() - start).count();
    }
  }
  for (size_t t = 0; t < trials.size(); ++t) {
    trials[t].ratio = decoded / stored[t];
    trials[t].decode_rate = decoded / std::max(1e-9, seconds[t]);
  }
  return trials;
}

/// The level of deflate; 0: none.
int choose_level(RepackOptions::Codec codec, const std::vector<CodecTrial>& trials) {
  if (codec == RepackOptions::Codec::none) return 0;
  const auto smallest = std::ranges::max_element(trials, {}, &CodecTrial::ratio);
  if (codec == RepackOptions::Codec::automatic && smallest->ratio < kWorthwhileRatio) return 0;
  // A higher level must gain something: it takes longer to write, though not to read.
  constexpr double kGain = 1.02;
  for (const CodecTrial& trial : trials)
    if (trial.ratio * kGain >= smallest->ratio) return trial.level;
  return smallest->level;
}

class Repacker {
 public:
  Repacker(const hdf5::File& in, hdf5::File& out, const RepackOptions& options)
      : in_(in), out_(out), options_(options), pool_(options.threads) {}

  std::vector<RepackedDataset> run() {
    for (const std::string& name : in_.dataset_names(SIZE_MAX)) all_ += bytes_to_rewrite(name);
    copy_objects(in_, out_, [&](const std::string& name) {
      if (bytes_to_rewrite(name) == 0) return false;
      rewrite(name);
      return true;
    });
    return std::move(done_);
  }

 private:
  /// Decoded; 0: the data set is copied as it is.
  int64_t bytes_to_rewrite(const std::string& name) const {
    constexpr size_t kMaxRowBytes = size_t{1} << 30;  // a chunk must be smaller than 4 GiB
    const hdf5::Dataset dataset = in_.dataset(name);
    try {
      hdf5::require_sources(dataset);
      require_rows_of_numbers(dataset);
    } catch (const Error&) {
      return 0;
    }
    const Rows rows(dataset);
    // Values that were never written would take space.
    return rows.count() > 1 && rows.row_bytes() <= kMaxRowBytes && dataset.is_written()
               ? rows.count() * static_cast<int64_t>(rows.row_bytes())
               : 0;
  }

  void rewrite(const std::string& name) {
    const hdf5::Dataset dataset = in_.dataset(name);
    const Rows rows(dataset);
    RepackedDataset result{.name = name, .samples = rows.count(), .bytes_before = dataset.stored_bytes()};
    const int64_t chunk_rows =
        std::clamp<int64_t>(options_.chunk_bytes / static_cast<int64_t>(rows.row_bytes()), 1, rows.count());
    if (options_.codec != RepackOptions::Codec::none) result.trials = try_codecs(rows, chunk_rows);
    result.level = choose_level(options_.codec, result.trials);
    if (result.level > 0) result.chunk_samples = chunk_rows;
    const Id written = create(dataset, result);
    write(rows, written.get(), result);
    result.bytes_after = static_cast<int64_t>(H5Dget_storage_size(written.get()));
    done_.push_back(std::move(result));
  }

  Id create(const hdf5::Dataset& dataset, const RepackedDataset& how) {
    const Id creation(H5Pcreate(H5P_DATASET_CREATE));
    std::vector<hsize_t> extents(dataset.extents().begin(), dataset.extents().end());
    if (how.level > 0) {
      std::vector<hsize_t> chunk(extents);
      chunk[0] = static_cast<hsize_t>(how.chunk_samples);
      H5Pset_chunk(creation.get(), static_cast<int>(chunk.size()), chunk.data());
      H5Pset_shuffle(creation.get());
      H5Pset_deflate(creation.get(), static_cast<unsigned>(how.level));
    }
    const Id space(H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr));
    Id written(H5Dcreate2(out_.id(), how.name.c_str(), dataset.type_id(), space.get(), H5P_DEFAULT,
                          creation.get(), H5P_DEFAULT));
    if (!written) fail_to_write(how.name);
    return written;
  }

  /// Writes all rows, in pieces that end at the end of a chunk.
  void write(const Rows& rows, hid_t written, const RepackedDataset& how) {
    const auto row_bytes = static_cast<int64_t>(rows.row_bytes());
    // Shuffling reads the whole data set for each piece, so pieces are as large as memory allows.
    constexpr int64_t kPieceBytes = int64_t{64} << 20;
    const int64_t multiple = std::max<int64_t>(1, how.chunk_samples);
    const int64_t wanted = (options_.shuffle ? options_.memory_bytes : kPieceBytes) / row_bytes;
    const int64_t piece = std::max<int64_t>(1, wanted / multiple) * multiple;
    std::vector<std::byte> values;
    for (int64_t first = 0; first < rows.count(); first += piece) {
      const int64_t count = std::min(piece, rows.count() - first);
      // Chunks are stored whole; what lies behind the last row is zero.
      const int64_t padded = (count + multiple - 1) / multiple * multiple;
      values.assign(static_cast<size_t>(padded * row_bytes), std::byte{0});
      if (options_.shuffle)
        gather(rows, first, count, values.data());
      else
        rows.read(first, count, values.data());
      if (how.level > 0)
        write_chunks(values, static_cast<size_t>(multiple * row_bytes), rows, first, written, how);
      else
        write_rows(values, first, count, written, how.name);
      written_ += count * row_bytes;
      if (options_.progress) options_.progress(written_, all_);
    }
  }

  /// Copies the rows that the shuffled data set has from `first` on.
  void gather(const Rows& rows, int64_t first, int64_t count, std::byte* out) const {
    constexpr int64_t kReadBytes = int64_t{16} << 20;
    const Permutation order(options_.seed, static_cast<uint64_t>(rows.count()));
    const auto row_bytes = static_cast<int64_t>(rows.row_bytes());
    const int64_t at_once = std::max<int64_t>(1, kReadBytes / row_bytes);
    std::vector<std::byte> read(static_cast<size_t>(at_once * row_bytes));
    for (int64_t begin = 0; begin < rows.count(); begin += at_once) {
      const int64_t end = std::min(rows.count(), begin + at_once);
      rows.read(begin, end - begin, read.data());
      for (int64_t row = begin; row < end; ++row) {
        const auto to = static_cast<int64_t>(order.position_of(static_cast<uint64_t>(row))) - first;
        if (to >= 0 && to < count)
          std::memcpy(out + to * row_bytes, read.data() + (row - begin) * row_bytes, rows.row_bytes());
      }
    }
  }

  void write_chunks(const std::vector<std::byte>& values, size_t chunk_bytes, const Rows& rows, int64_t first,
                    hid_t written, const RepackedDataset& how) {
    std::vector<std::vector<std::byte>> encoded(values.size() / chunk_bytes);
    pool_.run([&](int lane) {
      for (size_t i = static_cast<size_t>(lane); i < encoded.size(); i += static_cast<size_t>(pool_.lanes()))
        encoded[i] = encode_chunk(std::span(values).subspan(i * chunk_bytes, chunk_bytes),
                                  rows.element_bytes(), how.level);
    });
    const hdf5::Lock lock;
    const int axes = H5Sget_simple_extent_ndims(Id(H5Dget_space(written)).get());
    std::vector<hsize_t> offset(static_cast<size_t>(axes), 0);
    for (size_t i = 0; i < encoded.size(); ++i) {
      offset[0] = static_cast<hsize_t>(first + static_cast<int64_t>(i) * how.chunk_samples);
      if (H5Dwrite_chunk(written, H5P_DEFAULT, 0, offset.data(), encoded[i].size(), encoded[i].data()) < 0)
        fail_to_write(how.name);
    }
  }

  void write_rows(const std::vector<std::byte>& values, int64_t first, int64_t count, hid_t written,
                  const std::string& name) {
    const hdf5::Lock lock;
    const Id type(H5Dget_type(written)), space(H5Dget_space(written));
    std::vector<hsize_t> start(static_cast<size_t>(H5Sget_simple_extent_ndims(space.get())), 0), size(start);
    H5Sget_simple_extent_dims(space.get(), size.data(), nullptr);
    start[0] = static_cast<hsize_t>(first);
    size[0] = static_cast<hsize_t>(count);
    const Id memory(H5Screate_simple(static_cast<int>(size.size()), size.data(), nullptr));
    if (H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start.data(), nullptr, size.data(), nullptr) < 0 ||
        H5Dwrite(written, type.get(), memory.get(), space.get(), H5P_DEFAULT, values.data()) < 0)
      fail_to_write(name);
  }

  [[noreturn]] void fail_to_write(const std::string& name) const {
    fail(ExitCode::data, "{}:{} cannot be written: {}.", out_.path(), name, hdf5::last_error());
  }

  const hdf5::File& in_;
  hdf5::File& out_;
  const RepackOptions& options_;
  ThreadPool pool_;
  int64_t all_ = 0, written_ = 0;
  std::vector<RepackedDataset> done_;
};

}  // namespace

std::vector<RepackedDataset> repack(const std::string& in, const std::string& out,
                                    const RepackOptions& options) {
  const hdf5::File from = hdf5::File::open(in);
  Output output(out);
  std::vector<RepackedDataset> done = Repacker(from, output.file(), options).run();
  output.commit();
  return done;
}

}  // namespace lockstep
