#include "io/checkpoint/checkpoint.h"

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "io/checkpoint/checkpoint_format.h"
#include "io/checkpoint/checkpoint_here.h"
#include "io/hdf5/hdf5.h"
#include "io/probe/probe.h"
#include "src/core/error.h"
#include "src/core/hash.h"
#include "src/core/text/json.h"

namespace lockstep {

namespace {

[[noreturn]] void fail_damaged(const std::string& path, const std::string& what) {
  fail(ExitCode::data, "{}: this checkpoint is damaged: {}. Resume from an older one.", path, what);
}

/// The value of an attribute that every checkpoint has.
template <typename Value>
Value required(const std::string& path, const std::string& name, std::optional<Value> value) {
  if (!value) fail_damaged(path, "it lacks the attribute " + name);
  return *std::move(value);
}

/// Whether a file of `bytes` can hold that many elements.
bool fits(const std::vector<int64_t>& extents, uintmax_t bytes) {
  if (std::find(extents.begin(), extents.end(), 0) != extents.end()) return true;
  for (const int64_t extent : extents) bytes /= static_cast<uintmax_t>(extent);
  return bytes > 0;
}

/// Opens a data set, which must have the form that the writer gives it and be no larger than the file.
hdf5::Dataset open_dataset(const hdf5::File& file, const std::string& name) {
  const std::string object = "/" + name;
  if (!file.contains(object)) fail_damaged(file.path(), "it lacks the tensor " + name);
  hdf5::Dataset dataset = file.dataset(object);
  if (!dataset.type().exact || dataset.layout() != "contiguous" ||
      dataset.extents().size() > Shape::kMaxRank || !dataset.has_data())
    fail_damaged(file.path(), "tensor " + name + " is of another kind than was written");
  if (!fits(dataset.extents(), std::filesystem::file_size(file.path())))
    fail_damaged(file.path(), "tensor " + name + " is larger than the file");
  return dataset;
}

/// Reads the numbers of one data set of the metadata.
template <typename Value>
std::vector<Value> read_values(const hdf5::File& file, const std::string& object) {
  const hdf5::Dataset dataset = open_dataset(file, object.substr(1));
  if (dataset.type().exact != dtype_of<Value>() || dataset.extents().size() != 1)
    fail_damaged(file.path(), object + " is of another kind than was written");
  std::vector<Value> values(static_cast<size_t>(dataset.elements()));
  if (!values.empty()) dataset.read(dtype_of<Value>(), values.data());
  return values;
}

template <typename Value>
std::map<std::string, Value> read_named_values(const hdf5::File& file, const std::string& object) {
  const std::vector<Value> values = read_values<Value>(file, object);
  std::istringstream names(required(file.path(), object, file.string_attribute(object, "names")));
  std::map<std::string, Value> result;
  size_t i = 0;
  for (std::string name; std::getline(names, name); ++i)
    if (i < values.size()) result[name] = values[i];
  if (i != values.size() || result.size() != i)
    fail_damaged(file.path(), fmt::format("{} has {} values for {} names", object, values.size(), i));
  return result;
}

/// The data sets of the tensors and the hashes stored with them.
struct TensorList {
  std::vector<hdf5::Dataset> datasets;
  std::vector<int64_t> hashes;
};

/// Names, types and shapes; no elements yet.
std::vector<hdf5::Dataset> list_tensors(const hdf5::File& file, Checkpoint& checkpoint) {
  std::vector<hdf5::Dataset> datasets;
  std::istringstream names(required(file.path(), "tensors", file.string_attribute("/", "tensors")));
  for (std::string name; std::getline(names, name);) {
    hdf5::Dataset dataset = open_dataset(file, name);
    checkpoint.tensors.push_back({name, {nullptr, *dataset.type().exact, Shape(dataset.extents())}});
    datasets.push_back(std::move(dataset));
  }
  return datasets;
}

/// Reads and verifies everything but the elements, before any memory is allocated, because a damaged shape
/// may require more than there is.
TensorList read_metadata(const hdf5::File& file, Checkpoint& checkpoint) {
  const std::string& path = file.path();
  if (file.string_attribute("/", "format") != kCheckpointFormat)
    fail(ExitCode::data,
         "{} is an HDF5 file, but not a Lockstep checkpoint (its attribute \"format\" does not say so).",
         path);
  if (const int64_t version = required(path, "version", file.integer_attribute("/", "version"));
      version != kCheckpointVersion)
    fail(ExitCode::data, "{}: a checkpoint of format {}; this Lockstep ({}) reads format {}.", path, version,
         LOCKSTEP_VERSION, kCheckpointVersion);

  if (!file.contains(kCheckpointStrings))
    fail_damaged(path, fmt::format("it lacks the group {}", kCheckpointStrings));
  for (const std::string& name : file.attribute_names(kCheckpointStrings))
    checkpoint.strings[name] = required(path, name, file.string_attribute(kCheckpointStrings, name));
  checkpoint.integers = read_named_values<int64_t>(file, kCheckpointIntegers);
  checkpoint.reals = read_named_values<double>(file, kCheckpointReals);
  std::vector<int64_t> hashes = read_values<int64_t>(file, kCheckpointHashes);
  TensorList list{list_tensors(file, checkpoint), {}};
  if (hashes.size() != 1 + checkpoint.tensors.size())
    fail_damaged(path,
                 fmt::format("it has {} hashes for {} tensors", hashes.size(), checkpoint.tensors.size()));
  list.hashes.assign(hashes.begin() + 1, hashes.end());
  if (metadata_hash(checkpoint, list.hashes) != hashes[0])
    fail_damaged(path, "its metadata does not have the hash that was written with it");
  return list;
}

template <typename Value>
const Value& stored(const std::string& path, const std::map<std::string, Value>& values,
                    const std::string& name) {
  const auto found = values.find(name);
  if (found == values.end())
    fail(ExitCode::data, "{} lacks '{}': it is not a checkpoint of a training run of this Lockstep ({}).",
         path, name, LOCKSTEP_VERSION);
  return found->second;
}

}  // namespace

Checkpoint load_checkpoint_here(const std::string& path) {
  const hdf5::File file = hdf5::File::open(path);
  Checkpoint checkpoint;
  const TensorList list = read_metadata(file, checkpoint);
  for (size_t i = 0; i < checkpoint.tensors.size(); ++i) {
    auto& [name, tensor] = checkpoint.tensors[i];
    const size_t bytes = static_cast<size_t>(tensor.shape().elements()) * size_of(tensor.dtype());
    // At least one byte, because a tensor without elements is not "no tensor".
    auto& storage = checkpoint.storage.emplace_back(std::max<size_t>(bytes, 1));
    if (bytes > 0) list.datasets[i].read(tensor.dtype(), storage.data());
    tensor = {storage.data(), tensor.dtype(), tensor.shape()};
    if (static_cast<int64_t>(hash_bytes(bytes_of(tensor))) != list.hashes[i])
      fail_damaged(path, "tensor " + name + " does not have the hash that was written with it");
  }
  return checkpoint;
}

void check_checkpoint_here(const std::string& path) {
  Checkpoint checkpoint;
  read_metadata(hdf5::File::open(path), checkpoint);
}

Checkpoint load_checkpoint(const std::string& path) {
  constexpr double kSeconds = 60;
  run_in_probe("checkpoint", {path}, {}, kSeconds);
  return load_checkpoint_here(path);
}

int64_t LoadedCheckpoint::integer(const std::string& name) const {
  return stored(path, checkpoint.integers, name);
}

double LoadedCheckpoint::real(const std::string& name) const { return stored(path, checkpoint.reals, name); }

const std::string& LoadedCheckpoint::text(const std::string& name) const {
  return stored(path, checkpoint.strings, name);
}

}  // namespace lockstep
