#include "io/import/import_mnist.h"

#include <filesystem>

#include "io/checkpoint/atomic_hdf5.h"
#include "io/dataset/labelled_group.h"
#include "io/import/idx.h"
#include "src/core/error.h"

namespace lockstep {
namespace {

std::string find_idx_file(const std::string& folder, const std::string& stem, int rank) {
  if (std::error_code error; !std::filesystem::is_directory(folder, error))
    fail(ExitCode::data, "{} is not a folder. Name the one that holds MNIST's four idx files.", folder);
  std::string tried;
  for (const char* separator : {"-", "."})
    for (const char* suffix : {"", ".gz"}) {
      const std::string name = fmt::format("{}{}idx{}-ubyte{}", stem, separator, rank, suffix);
      const std::filesystem::path path = std::filesystem::path(folder) / name;
      if (std::error_code error; std::filesystem::exists(path, error)) return path.string();
      tried += (tried.empty() ? "" : ", ") + name;
    }
  fail(ExitCode::data, "{}: no file of MNIST's {} there. Looked for: {}.", folder, stem, tried);
}

struct Labelled {
  IdxArray images, labels;
};

Labelled read_part(const std::string& folder, const std::string& prefix) {
  const std::string image_path = find_idx_file(folder, prefix + "-images", 3);
  const std::string label_path = find_idx_file(folder, prefix + "-labels", 1);
  Labelled part{read_idx(image_path, 3), read_idx(label_path, 1)};
  if (part.images.shape[0] != part.labels.shape[0])
    fail(ExitCode::data, "{} holds {} images, but {} holds {} labels: these files do not belong together.",
         image_path, part.images.shape[0], label_path, part.labels.shape[0]);
  return part;
}

void write_part(hdf5::File& file, const std::string& group, const Labelled& part) {
  create_labelled_group(file, group, part.images.shape);
  file.write_rows(group + "/x", 0, {part.images.elements.data(), DType::u8, part.images.shape});
  file.write_rows(group + "/y", 0, {part.labels.elements.data(), DType::u8, part.labels.shape});
}

}  // namespace

void import_mnist(const std::string& folder, const std::string& out) {
  AtomicHdf5 output(out);
  write_part(output.file(), "/train", read_part(folder, "train"));
  write_part(output.file(), "/test", read_part(folder, "t10k"));
  output.commit();
}

}  // namespace lockstep
