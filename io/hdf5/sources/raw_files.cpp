#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "io/hdf5/sources/raw_files.h"
#include "io/hdf5/sources/source_walk.h"

namespace lockstep::hdf5 {

namespace fs = std::filesystem;

namespace {

struct RawFile {
  std::string name;
  int64_t offset = 0;
  int64_t bytes = 0;  ///< of the data set; INT64_MAX: all the rest
};

std::vector<RawFile> raw_files_of(hid_t creation_properties) {
  std::vector<RawFile> files;
  const int count = H5Pget_external_count(creation_properties);
  for (int index = 0; index < count; ++index) {
    std::vector<char> name(4096);
    off_t offset = 0;
    hsize_t size = 0;
    if (H5Pget_external(creation_properties, static_cast<unsigned>(index), name.size() - 1, name.data(),
                        &offset, &size) < 0)
      break;
    files.push_back({name.data(), offset, static_cast<int64_t>(std::min<hsize_t>(size, INT64_MAX))});
  }
  return files;
}

bool all_exist(const std::vector<RawFile>& files, const RawFolder& folder) {
  return std::all_of(files.begin(), files.end(), [&](const RawFile& file) {
    std::error_code error;
    return fs::exists(raw_path(folder, file.name), error);
  });
}

}  // namespace

RawFolder choose_raw_folder(hid_t creation_properties, const std::string& from) {
  const std::vector<RawFile> files = raw_files_of(creation_properties);
  RawFolder folder = raw_folder_of(from), current = current_raw_folder();
  const bool only_in_current = is_default(folder) && !all_exist(files, folder) && all_exist(files, current);
  return only_in_current ? current : folder;
}

std::string raw_prefix(hid_t dataset) {
  const Id properties(H5Dget_create_plist(dataset));
  if (H5Pget_layout(properties.get()) != H5D_CONTIGUOUS || H5Pget_external_count(properties.get()) <= 0)
    return "";
  return choose_raw_folder(properties.get(), own_file(dataset)).property;
}

std::shared_ptr<const FileParts> open_raw_files(const Dataset& dataset) {
  const Lock lock;
  const Id properties(H5Dget_create_plist(dataset.id()));
  const RawFolder folder = choose_raw_folder(properties.get(), own_file(dataset.id()));
  const int64_t bytes = dataset.elements() * static_cast<int64_t>(dataset.type().bytes);
  auto parts = std::make_shared<FileParts>();
  for (const RawFile& file : raw_files_of(properties.get())) {
    const int64_t needed = std::min(file.bytes, bytes - static_cast<int64_t>(parts->bytes()));
    if (needed <= 0) continue;
    if (file.offset < 0 || file.offset > INT64_MAX - needed ||
        !parts->append(raw_path(folder, file.name), static_cast<uint64_t>(file.offset),
                       static_cast<uint64_t>(needed)))
      return nullptr;
  }
  return parts->bytes() == static_cast<uint64_t>(bytes) ? parts : nullptr;
}

std::string own_file(hid_t object) {
  const ssize_t length = H5Fget_name(object, nullptr, 0);
  std::string name(length > 0 ? static_cast<size_t>(length) : 0, '\0');
  H5Fget_name(object, name.data(), name.size() + 1);
  return full_path(name);
}

void SourceWalk::visit_raw_files(const Dataset& dataset, const std::string& own) {
  const Id properties(H5Dget_create_plist(dataset.id()));
  // For a source, only the environment variable can make libhdf5 look beside the file.
  RawFolder folder = choose_raw_folder(properties.get(), own);
  const bool is_source = depth_ > 1 && is_default(folder);
  if (is_source) folder = current_raw_folder();
  const int64_t rows = dataset.extents().empty() ? 1 : dataset.extents()[0];
  const int64_t bytes = dataset.elements() * static_cast<int64_t>(dataset.type().bytes);
  const int64_t row_bytes = rows == 0 ? 0 : bytes / rows;
  int64_t first_byte = 0;
  for (const RawFile& file : raw_files_of(properties.get())) {
    const std::string path = raw_path(folder, file.name);
    const int64_t needed = std::min(file.bytes, bytes - first_byte);
    if (needed <= 0) continue;
    std::error_code error;
    const auto file_bytes = fs::file_size(path, error);
    if (error == std::errc::no_such_file_or_directory)
      fail(ExitCode::data,
           "{} has its values in the raw file {}, which does not exist. Copy it there, or set "
           "HDF5_EXTFILE_PREFIX "
           "to {}.",
           dataset.where(), path,
           is_source ? "'${ORIGIN}' if it lies beside that HDF5 file" : "the folder that holds it");
    if (error || !std::ifstream(path))
      fail(ExitCode::data,
           "{} has its values in the raw file {}, which cannot be read: {}. Check its owner and permissions.",
           dataset.where(), path, error ? error.message() : std::strerror(errno));
    const int64_t held = std::max<int64_t>(0, static_cast<int64_t>(file_bytes) - file.offset);
    if (held < needed) {
      const int64_t first = (first_byte + held) / row_bytes, last = (first_byte + needed - 1) / row_bytes;
      fail(ExitCode::data,
           "{} has its values in the raw file {}, which ends too early: it holds {} of {} bytes, so that "
           "rows {} "
           "to {} ({} of {}) are missing. Copy the raw file again.",
           dataset.where(), path, held, needed, first, last, last - first + 1, rows);
    }
    add_file(path);
    first_byte += needed;
  }
  if (first_byte < bytes)
    fail(ExitCode::data, "{} names no raw file for the last {} bytes of its values: its header is damaged.",
         dataset.where(), bytes - first_byte);
}

}  // namespace lockstep::hdf5
