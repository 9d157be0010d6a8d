#include "io/dataset/rows/stored_rows.h"

#include <algorithm>

#include "io/hdf5/chunks/chunk_bytes.h"
#include "io/hdf5/sources/sources.h"

namespace lockstep {

namespace {

constexpr int64_t kPieceBytes = int64_t{4} << 20;

// Decoded blocks are cached outside the lock of libhdf5; its own chunk cache would only hold them twice.
hdf5::Dataset open(const hdf5::File& file, const std::string& name) {
  require_dataset(file, name);
  return file.dataset(name, 0);
}

}  // namespace

void require_dataset(const hdf5::File& file, const std::string& name) {
  if (file.contains(name)) return;
  try {
    file.dataset(name);
  } catch (const Error& error) {
    fail(error.code(), "{} A config names others as {{ files = [\"{}\"], x = \"/NAME\", y = \"/NAME\" }}.",
         error.what(), file.path());
  }
}

StoredRows::StoredRows(const std::string& path, const std::string& name)
    : file_(hdf5::File::open(path)), dataset_(open(file_, name)) {
  const hdf5::Sources sources = hdf5::require_sources(dataset_);
  descriptors_ = sources.descriptors;
  watched_.emplace(sources.files);
  require_rows_of_numbers(dataset_);
}

double StoredRows::chunks_across() const {
  const auto &extents = dataset_.extents(), &chunk = dataset_.chunk();
  double count = 1;
  for (size_t axis = 1; axis < chunk.size(); ++axis)
    count *= static_cast<double>((extents[axis] + chunk[axis] - 1) / chunk[axis]);
  return count;
}

int64_t StoredRows::rows_of_a_piece(size_t row_bytes) const {
  return (kPieceBytes / static_cast<int64_t>(row_bytes) / chunk_rows() + 1) * chunk_rows();
}

double StoredRows::decoded_bytes_per_row(double kept_blocks) const {
  constexpr double kRowsAtOnce = 32;
  if (dataset_.chunk().empty() || dataset_.filters().empty()) return 0;
  const double block = chunks_across() * static_cast<double>(hdf5::chunk_bytes(dataset_));
  const auto blocks = static_cast<double>((rows() + chunk_rows() - 1) / chunk_rows());
  // Upper limit on the blocks that hold rows read at once.
  const double touched = std::min(blocks, kRowsAtOnce);
  return block * (1 - std::min(blocks, kept_blocks) / blocks) * touched / kRowsAtOnce;
}

void StoredRows::read_unchanged(const std::function<void()>& read) const {
  try {
    read();
  } catch (const Error&) {
    watched_->require_all_unchanged();
    throw;
  }
  watched_->require_unchanged();
}

void require_rows_of_numbers(const hdf5::Dataset& dataset) {
  const auto& extents = dataset.extents();
  if (!dataset.has_data()) fail(ExitCode::data, "{} is a null data set: it has no values.", dataset.where());
  if (dataset.type().name == "string")
    fail(ExitCode::data,
         "{} holds text (strings); samples and targets must be numbers. If these are names of classes, "
         "store class numbers 0, 1, 2, ... instead.",
         dataset.where());
  if (dataset.type().name == "compound")
    fail(
        ExitCode::data,
        "{} is a table of rows with named columns (compound); samples and targets must be arrays of numbers. "
        "Write its columns as x and y: in Python, h5py and "
        "numpy.lib.recfunctions.structured_to_unstructured(rows[columns]) do so.",
        dataset.where());
  if (dataset.type().kind == hdf5::ElementType::Kind::other)
    fail(ExitCode::data,
         "{} holds values of type {}; samples and targets must be integers or floating-point numbers. Write "
         "them as one of these.",
         dataset.where(), dataset.type().name);
  if (dataset.type().bytes > 8)
    fail(ExitCode::data, "{} holds {}; numbers of more than 64 bits are not supported. Store it as float64.",
         dataset.where(), dataset.type().name);
  if (extents.empty())
    fail(ExitCode::data, "{} is a single number; it must be an array whose first axis counts the samples.",
         dataset.where());
  if (extents.size() > static_cast<size_t>(Shape::kMaxRank))
    fail(ExitCode::data, "{} has {} axes; at most {} are supported. Merge some of them.", dataset.where(),
         extents.size(), Shape::kMaxRank);
  if (extents[0] == 0)
    fail(ExitCode::data, "{} has no samples: its shape is {}.", dataset.where(), to_string(Shape(extents)));
  if (dataset.elements() == 0)
    fail(ExitCode::data, "{} has samples without values: its shape is {}.", dataset.where(),
         to_string(Shape(extents)));
  dataset.require_filters();
}

}  // namespace lockstep
