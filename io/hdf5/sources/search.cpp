#include "io/hdf5/sources/search.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

namespace lockstep::hdf5 {

namespace fs = std::filesystem;

namespace {

constexpr const char* kOrigin = "${ORIGIN}";

/// These variables are libhdf5's own. They are read here to report where it searches.
std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string folder_of(const std::string& file) { return fs::path(full_path(file)).parent_path(); }

/// A prefix with "${ORIGIN}" at its beginning replaced by the folder of the file.
std::string with_origin(const std::string& prefix, const std::string& from) {
  const std::string origin = kOrigin;
  return prefix.starts_with(origin) ? folder_of(from) + prefix.substr(origin.size()) : prefix;
}

}  // namespace

std::string full_path(const std::string& path) {
  std::error_code error;
  const fs::path full = fs::absolute(path, error);
  return error ? path : full.lexically_normal().string();
}

const char* search_variable(Reference kind) {
  return kind == Reference::virtual_source ? "HDF5_VDS_PREFIX" : "HDF5_EXT_PREFIX";
}

std::vector<std::string> places_of(Reference kind, const std::string& name, const std::string& from) {
  std::vector<std::string> places;
  const auto add = [&](const fs::path& path) {
    std::string full = full_path(path.string());
    if (std::find(places.begin(), places.end(), full) == places.end()) places.push_back(std::move(full));
  };
  // An absolute path that does not exist is reduced to its file name (H5F_prefix_open_file).
  fs::path rest = name;
  if (rest.is_absolute()) {
    add(rest);
    rest = rest.filename();
  }
  const std::string prefixes = variable(search_variable(kind));
  for (size_t begin = 0; begin < prefixes.size();) {
    const size_t end = std::min(prefixes.find(':', begin), prefixes.size());
    if (end > begin) add(fs::path(prefixes.substr(begin, end - begin)) / rest);
    begin = end + 1;
  }
  if (kind == Reference::virtual_source && !prefixes.empty())
    add(fs::path(with_origin(prefixes, from)) / rest);
  add(fs::path(folder_of(from)) / rest);
  add(rest);
  std::error_code error;
  const fs::path actual = fs::canonical(from, error);
  if (!error) add(actual.parent_path() / rest);
  return places;
}

RawFolder raw_folder_of(const std::string& from) {
  std::string prefix = variable("HDF5_EXTFILE_PREFIX");
  if (prefix.empty()) prefix = kOrigin;
  if (prefix == ".") return current_raw_folder();
  return {prefix, full_path(with_origin(prefix, from))};
}

bool is_default(const RawFolder& folder) {
  return folder.property == kOrigin && variable("HDF5_EXTFILE_PREFIX").empty();
}

RawFolder current_raw_folder() { return {"", full_path(".")}; }

std::string raw_path(const RawFolder& folder, const std::string& name) {
  return full_path((fs::path(folder.folder) / name).string());
}

}  // namespace lockstep::hdf5
