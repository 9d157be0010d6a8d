#include "io/import/import_mnist.h"

#include <filesystem>

#include "io/checkpoint/atomic_hdf5.h"
#include "io/dataset/targets/labelled_group.h"
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

/// The files of a part.
struct PartFiles {
  PartFiles(const std::string& folder, const std::string& prefix)
      : images(find_idx_file(folder, prefix + "-images", 3)),
        labels(find_idx_file(folder, prefix + "-labels", 1)) {}

  int64_t image_bytes() const {
    std::error_code error;
    const auto bytes = std::filesystem::file_size(images, error);
    return error ? 0 : static_cast<int64_t>(bytes);
  }

  std::string images, labels;
};

Labelled read_part(const PartFiles& files, const std::function<void(int64_t bytes)>& progress) {
  Labelled part{read_idx(files.images, 3, progress), read_idx(files.labels, 1)};
  if (part.images.shape[0] != part.labels.shape[0])
    fail(ExitCode::data, "{} holds {} images, but {} holds {} labels: these files do not belong together.",
         files.images, part.images.shape[0], files.labels, part.labels.shape[0]);
  return part;
}

void write_part(hdf5::File& file, const std::string& group, const Labelled& part) {
  create_labelled_group(file, group, part.images.shape);
  file.write_rows(group + "/x", 0, {part.images.elements.data(), DType::u8, part.images.shape});
  file.write_rows(group + "/y", 0, {part.labels.elements.data(), DType::u8, part.labels.shape});
}

}  // namespace

void import_mnist(const std::string& folder, const std::string& out,
                  const std::function<void(int64_t done, int64_t all)>& progress) {
  AtomicHdf5 output(out);
  const PartFiles train(folder, "train"), test(folder, "t10k");
  const int64_t train_bytes = train.image_bytes(), all = train_bytes + test.image_bytes();
  const auto after = [&](int64_t before) {
    return [&, before](int64_t bytes) {
      if (progress) progress(before + bytes, all);
    };
  };
  write_part(output.file(), "/train", read_part(train, after(0)));
  write_part(output.file(), "/test", read_part(test, after(train_bytes)));
  output.commit();
}

}  // namespace lockstep
