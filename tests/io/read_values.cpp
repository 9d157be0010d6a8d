// Reads each data set of a file that Lockstep reads, without libhdf5 where Lockstep can, and once more by
// libhdf5 alone: read_values FILE FOLDER. Writes the values to FOLDER/N.direct and FOLDER/N.libhdf5, for N =
// 0, 1, ..., and prints a line of JSON for each data set: its name, the type of the values, and why it is not
// read, if it is not.
#include <cstdio>
#include <fstream>
#include <vector>

#include "io/dataset/layouts/plain_rows.h"
#include "io/hdf5/sources/sources.h"
#include "src/core/text/json.h"

namespace lockstep {
namespace {

/// Holds every value exactly, or as near as float64 does.
DType lossless(const hdf5::ElementType& type) { return type.exact.value_or(DType::f64); }

std::vector<std::byte> by_libhdf5(const hdf5::Dataset& dataset, DType dtype) {
  const hdf5::Lock lock;
  std::vector<std::byte> values(static_cast<size_t>(dataset.elements()) * size_of(dtype));
  if (H5Dread(dataset.id(), hdf5::memory_type(dtype), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0)
    fail(ExitCode::data, "libhdf5: {}", hdf5::last_error());
  return values;
}

void write(const std::string& path, const std::vector<std::byte>& values) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size()));
}

nlohmann::json read(const hdf5::File& file, const std::string& name, const std::string& out) {
  nlohmann::json line = {{"name", name}};
  try {
    const hdf5::Dataset dataset = file.dataset(name);
    hdf5::require_sources(dataset);
    require_rows_of_numbers(dataset);
    const DType dtype = lossless(dataset.type());
    std::vector<std::byte> values(static_cast<size_t>(dataset.elements()) * size_of(dtype));
    dataset.read(dtype, values.data());
    line["type"] = to_string(dtype);
    line["is_direct"] = !dataset.is_read_by_libhdf5();
    write(out + ".direct", values);
    // What a filter of Lockstep's own has to decode, libhdf5 may not know.
    try {
      write(out + ".libhdf5", by_libhdf5(dataset, dtype));
    } catch (const Error& e) {
      line["not_by_libhdf5"] = e.what();
    }
  } catch (const Error& e) {
    line["refused"] = e.what();
  }
  return line;
}

}  // namespace
}  // namespace lockstep

int main(int, char** arguments) {
  using namespace lockstep;
  const std::string path = arguments[1], folder = arguments[2];
  try {
    const hdf5::File file = hdf5::File::open(path);
    int number = 0;
    for (const std::string& name : file.dataset_names(SIZE_MAX))
      std::puts(to_text(read(file, name, fmt::format("{}/{}", folder, number++))).c_str());
  } catch (const Error& e) {
    std::puts(to_text(nlohmann::json{{"refused", e.what()}}).c_str());
  }
  return 0;
}
