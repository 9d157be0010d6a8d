#include "io/repack/split_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "io/dataset/layouts/plain_rows.h"
#include "io/hdf5/sources/sources.h"
#include "io/repack/copy_objects.h"
#include "io/repack/output_file.h"
#include "io/repack/raw_rows.h"
#include "io/repack/row_writer.h"
#include "src/core/error.h"
#include "src/core/thread_pool.h"

namespace lockstep {

namespace {

/// A data set to divide, and its name in each part.
struct Divided {
  std::string from, to;
};

/// Level of deflate of a data set that is compressed by any filter.
int deflate_level(const hdf5::Dataset& dataset) {
  constexpr int kLevelOfOthers = 4;
  const hdf5::Lock lock;
  const hdf5::Id creation(H5Dget_create_plist(dataset.id()));
  unsigned flags = 0, level = 0;
  size_t count = 1;
  if (H5Pget_filter_by_id2(creation.get(), H5Z_FILTER_DEFLATE, &flags, &count, &level, 0, nullptr, nullptr) <
      0) {
    H5Eclear2(H5E_DEFAULT);
    return kLevelOfOthers;
  }
  return std::clamp(static_cast<int>(level), 1, 9);
}

RowStorage storage_like(const RawRows& rows, int64_t count) {
  constexpr int64_t kChunkBytes = int64_t{256} << 10, kMaxChunkBytes = int64_t{64} << 20;
  if (rows.dataset().filters().empty()) return {};
  const auto row_bytes = static_cast<int64_t>(rows.row_bytes());
  int64_t chunk = rows.dataset().chunk()[0];
  if (chunk * row_bytes > kMaxChunkBytes || chunk * row_bytes < kChunkBytes / 16)
    chunk = kChunkBytes / row_bytes;
  return {.chunk_rows = std::clamp<int64_t>(chunk, 1, count), .level = deflate_level(rows.dataset())};
}

class Splitter {
 public:
  Splitter(const DataSource& source, const std::string& out, const SplitOptions& options)
      : source_(source),
        options_(options),
        in_(hdf5::File::open(source.files[0])),
        output_(out),
        pool_(options.threads) {}

  SplitResult run() {
    choose_datasets();
    choose_parts();
    for (const Divided& divided : datasets_) divide(divided);
    output_.commit();
    return std::move(result_);
  }

 private:
  /// Opens a data set to divide; throws Error(data) if it is not one of numbers.
  hdf5::Dataset open(const std::string& name) const {
    require_dataset(in_, name);
    hdf5::Dataset dataset = in_.dataset(name);
    hdf5::require_sources(dataset);
    require_rows_of_numbers(dataset);
    return dataset;
  }

  void choose_datasets() {
    datasets_.push_back({source_.x, "x"});
    samples_ = open(source_.x).extents()[0];
    if (!source_.y.empty()) datasets_.push_back({source_.y, "y"});
    const std::string group = source_.x.substr(0, source_.x.rfind('/') + 1);
    for (const std::string& name : in_.dataset_names(SIZE_MAX)) {
      if (!name.starts_with(group) || name.find('/', group.size()) != std::string::npos) continue;
      if (name == source_.x || name == source_.y) continue;
      const std::string own = name.substr(group.size());
      try {
        const int64_t rows = open(name).extents()[0];
        if (rows != samples_)
          result_.left_out.push_back(fmt::format("{} has {} rows", name, rows));
        else if (own == "x" || (own == "y" && !source_.y.empty()))
          result_.left_out.push_back(fmt::format("{}: another data set takes this name", name));
        else
          datasets_.push_back({name, own});
      } catch (const Error& e) {
        result_.left_out.emplace_back(e.what());
      }
    }
    for (const Divided& divided : datasets_) {
      const hdf5::Dataset dataset = open(divided.from);
      if (dataset.extents()[0] != samples_)
        fail(ExitCode::data, "{} has {} rows, but {} has {}.", dataset.where(), dataset.extents()[0],
             source_.x, samples_);
      all_ += RawRows(dataset).bytes();
      result_.datasets.push_back(divided.to);
    }
  }

  void choose_parts() {
    std::unique_ptr<Dataset> labelled;
    std::function<int64_t(int64_t)> class_of;
    if (options_.by_class) {
      // Labels only: nothing of x is kept.
      labelled = open_dataset(source_, {.memory_budget = 0, .probe = false});
      if (labelled->target_kind() != TargetKind::classes || labelled->y_shape().rank() != 0)
        fail(ExitCode::usage, "--by-class needs one class per sample, which {}:{} does not hold.",
             source_.files[0], source_.y);
      class_of = [&](int64_t sample) { return labelled->label(sample); };
    }
    part_of_ = assign_parts(samples_, class_of, options_.parts, options_.seed);
    for (const SplitPart& part : options_.parts) {
      result_.parts.push_back({.name = part.name});
      output_.file().create_group("/" + part.name);
    }
    for (int64_t sample = 0; sample < samples_; ++sample) {
      SplitResult::Part& part = result_.parts[part_of_[static_cast<size_t>(sample)]];
      ++part.samples;
      if (class_of) ++part.classes[class_of(sample)];
    }
  }

  /// The rows of one part that are yet to be written.
  struct Pending {
    std::unique_ptr<RowWriter> writer;
    std::vector<std::byte> rows;
    size_t flush_at;
  };

  void divide(const Divided& divided) {
    const hdf5::Dataset dataset = open(divided.from);
    const RawRows rows(dataset);
    const size_t row_bytes = rows.row_bytes();
    // Half of the memory for what is read, half for what is written.
    const auto share = static_cast<size_t>(options_.memory_bytes) / 2;
    std::vector<Pending> parts;
    for (const SplitResult::Part& part : result_.parts) {
      const std::string name = fmt::format("/{}/{}", part.name, divided.to);
      auto writer = std::make_unique<RowWriter>(output_.file(), name, rows, part.samples,
                                                storage_like(rows, part.samples), pool_);
      const size_t chunk = static_cast<size_t>(writer->multiple()) * row_bytes;
      const size_t chunks = std::max<size_t>(1, share / result_.parts.size() / chunk);
      parts.push_back({std::move(writer), {}, chunks * chunk});
      copy_attributes(in_, divided.from, output_.file(), name);
    }
    // Pieces of whole chunks of the source, so that each is decoded once.
    const int64_t block = dataset.chunk().empty() ? 1 : dataset.chunk()[0];
    const auto fitting = static_cast<int64_t>(share / row_bytes);
    const int64_t piece = std::max<int64_t>(1, fitting >= block ? fitting / block * block : fitting);
    std::vector<std::byte> values(static_cast<size_t>(std::min(piece, rows.count())) * row_bytes);
    for (int64_t first = 0; first < rows.count(); first += piece) {
      const int64_t count = std::min(piece, rows.count() - first);
      rows.read(first, count, values.data());
      for (int64_t row = 0; row < count; ++row) {
        Pending& part = parts[part_of_[static_cast<size_t>(first + row)]];
        const std::byte* value = values.data() + static_cast<size_t>(row) * row_bytes;
        part.rows.insert(part.rows.end(), value, value + row_bytes);
        if (part.rows.size() == part.flush_at) flush(part);
      }
      done_ += count * static_cast<int64_t>(row_bytes);
      if (options_.progress) options_.progress(done_, all_);
    }
    for (Pending& part : parts) flush(part);
  }

  static void flush(Pending& part) {
    part.writer->append(part.rows);
    part.rows.clear();
  }

  const DataSource& source_;
  const SplitOptions& options_;
  hdf5::File in_;
  OutputFile output_;
  ThreadPool pool_;
  std::vector<Divided> datasets_;
  int64_t samples_ = 0, all_ = 0, done_ = 0;
  std::vector<uint8_t> part_of_;
  SplitResult result_;
};

}  // namespace

SplitResult split_file(const DataSource& source, const std::string& out, const SplitOptions& options) {
  INVARIANT(source.files.size() == 1, "{} files to split", source.files.size());
  return Splitter(source, out, options).run();
}

}  // namespace lockstep
