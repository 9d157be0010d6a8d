#include "io/repack/repack.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "io/dataset/layouts/plain_rows.h"
#include "io/hdf5/filters/pipeline.h"
#include "io/hdf5/sources/sources.h"
#include "io/repack/copy_objects.h"
#include "io/repack/encode_chunk.h"
#include "io/repack/encoded_rows.h"
#include "io/repack/output_file.h"
#include "io/repack/raw_rows.h"
#include "io/repack/row_writer.h"
#include "src/core/error.h"
#include "src/core/thread_pool.h"

namespace lockstep {

namespace {

using Clock = std::chrono::steady_clock;

constexpr double kWorthwhileRatio = 1.5;  // below it, decoding costs more than it saves in reading

/// Deflate at some levels, on chunks from all over the data set.
std::vector<CodecTrial> try_codecs(const RawRows& rows, int64_t chunk_rows) {
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
  Repacker(const hdf5::File& in, hdf5::File& out, const RepackOptions& options, const RepackRanks& ranks)
      : in_(in), out_(out), options_(options), ranks_(ranks), pool_(options.threads) {}

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
    const RawRows rows(dataset);
    // Values that were never written would take space.
    return rows.count() > 1 && rows.row_bytes() <= kMaxRowBytes && dataset.is_written() ? rows.bytes() : 0;
  }

  void rewrite(const std::string& name) {
    const hdf5::Dataset dataset = in_.dataset(name);
    const RawRows rows(dataset);
    RepackedDataset result{.name = name, .samples = rows.count(), .bytes_before = dataset.stored_bytes()};
    const int64_t chunk_rows =
        std::clamp<int64_t>(options_.chunk_bytes / static_cast<int64_t>(rows.row_bytes()), 1, rows.count());
    if (options_.codec != RepackOptions::Codec::none) result.trials = try_codecs(rows, chunk_rows);
    result.level = choose_level(options_.codec, result.trials);
    if (result.level > 0) result.chunk_samples = chunk_rows;
    const RowStorage storage{result.chunk_samples, result.level};
    RowWriter writer(out_, name, rows, rows.count(), storage, pool_);
    write(rows, writer, storage);
    result.bytes_after = writer.stored_bytes();
    done_.push_back(std::move(result));
  }

  /// Writes all rows, in pieces that end at the end of a chunk.
  void write(const RawRows& rows, RowWriter& writer, const RowStorage& storage) {
    const auto row_bytes = static_cast<int64_t>(rows.row_bytes());
    // Shuffling reads the whole data set for each piece, so pieces are as large as memory allows; but every
    // rank shall have one.
    constexpr int64_t kPieceBytes = int64_t{64} << 20;
    const int64_t multiple = writer.multiple();
    const int64_t allowed = (options_.shuffle ? options_.memory_bytes : kPieceBytes) / row_bytes / multiple;
    const int64_t share = (rows.count() - 1) / ranks_.size / multiple + 1;
    const int64_t piece_rows = std::clamp<int64_t>(allowed, 1, share) * multiple;
    const RowRecipe recipe{storage, options_.shuffle, options_.seed};
    PiecesOfRows pieces(rows, recipe, piece_rows, ranks_, pool_);
    for (PiecesOfRows::Piece piece = pieces.next(); piece.rows > 0; piece = pieces.next()) {
      writer.append(piece.rows, piece.encoded);
      written_ += piece.rows * row_bytes;
      if (options_.progress) options_.progress(written_, all_);
    }
  }

  const hdf5::File& in_;
  hdf5::File& out_;
  const RepackOptions& options_;
  const RepackRanks& ranks_;
  ThreadPool pool_;
  int64_t all_ = 0, written_ = 0;
  std::vector<RepackedDataset> done_;
};

}  // namespace

std::vector<RepackedDataset> repack(const std::string& in, const std::string& out,
                                    const RepackOptions& options, const RepackRanks& ranks) {
  const hdf5::File from = hdf5::File::open(in);
  OutputFile output(out);
  std::vector<RepackedDataset> done = Repacker(from, output.file(), options, ranks).run();
  dismiss_helpers(ranks);
  output.commit();
  return done;
}

void help_to_repack(const std::string& in, const RepackOptions& options, const RepackRanks& ranks) {
  help_to_make_rows(in, ranks, options.threads);
}

}  // namespace lockstep
