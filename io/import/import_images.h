#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "io/images/image.h"
#include "io/images/pixels.h"
#include "io/import/image_list.h"

namespace lockstep {

struct ImportImagesOptions {
  std::string labels = {};        ///< a table (list_labelled()); empty: a sub-folder for each class
  bool values = false;            ///< the table has numbers to predict
  int64_t height = 0, width = 0;  ///< of all images; 0: as they are, all alike
  images::Fit fit = images::Fit::crop;
  int64_t channels = 0;             ///< 1 gray, 3 RGB, 0: gray if all images are
  double validation = 0, test = 0;  ///< shares of the images, at least 0 and together below 1
  uint64_t seed = 1;                ///< of the division and the order
  bool strict = false;              ///< whether a file that is no image is an error
  int threads = 1;                  ///< that decode
  /// Called now and then with bytes of files handled.
  std::function<void(int64_t done, int64_t all)> progress = nullptr;
};

struct ImportedImages {
  struct Part {
    std::string name;
    int64_t images = 0;
    std::vector<int64_t> of_class;  ///< images of each of `classes`
  };
  images::Size size;
  std::vector<std::string> classes;  ///< in the order of their numbers; empty: numbers to predict
  std::vector<Part> parts;
  std::vector<LeftOut> unusable;  ///< no images, though their names or a table say so
  std::vector<LeftOut> other;     ///< files of other kinds
};

/// Converts files of JPEG and PNG to an HDF5 file with /train/x (N, H, W, C) uint8 and /train/y, and the same
/// of /validation and /test if they have a share (divide_by_name()). y is (N) classes with names
/// (write_named_classes()) or numbers, int32, or (N) or (N, K) numbers to predict, float32. Images are turned
/// as their Exif orientation says, get the same channels (images::with_channels()) and size
/// (images::resized()). A file that is no image is left out, or with `strict` ends the import. The values of
/// the result do not depend on the number of threads, and memory not on the number of images, apart from
/// their names. Throws Error(data), also if no image is left or sizes differ, and Error(usage) if a part
/// would be empty. `out` appears complete or not at all.
ImportedImages import_images(const std::string& folder, const std::string& out,
                             const ImportImagesOptions& options);

}  // namespace lockstep
