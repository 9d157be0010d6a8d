#include "io/dataset/layouts/image_rows.h"

#include <optional>
#include <utility>

#include "io/dataset/layouts/plain_rows.h"
#include "io/hdf5/convert.h"
#include "io/hdf5/elements/heap_reader.h"
#include "io/hdf5/filters/filters.h"

namespace lockstep {

namespace {

/// Reads the bytes of images. For one thread at a time.
class ImageBytes {
 public:
  explicit ImageBytes(const hdf5::Dataset& dataset) : dataset_(dataset) {
    if (hdf5::has_variable_length(dataset.type_id())) heap_.emplace(dataset);
  }

  /// Calls visit(row, bytes) for some rows in order. Throws Error(data) naming the row for what cannot be
  /// read and for images::BadImage.
  template <typename Visit>
  void read(int64_t first, int64_t count, Visit visit) {
    const size_t bytes = dataset_.type().bytes;
    elements_.resize(static_cast<size_t>(count) * bytes);
    dataset_.read_rows(first, count, std::nullopt, elements_.data());
    for (int64_t row = 0; row < count; ++row) {
      try {
        const auto element =
            std::span<const std::byte>(elements_).subspan(static_cast<size_t>(row) * bytes, bytes);
        visit(first + row, heap_ ? heap_->get(element, 1) : element);
      } catch (const filters::BadChunk& e) {
        fail_at(first + row,
                fmt::format("cannot be read: {}. Copy or download the file again, or recreate it", e.what()));
      } catch (const images::BadImage& e) {
        fail_at(
            first + row,
            fmt::format("is no image that can be used: {}. Replace it, or leave out such samples", e.what()));
      }
    }
  }

  [[noreturn]] void fail_at(int64_t row, const std::string& what) const {
    fail(ExitCode::data, "{}: sample {} {}.", dataset_.where(), row, what);
  }

 private:
  const hdf5::Dataset& dataset_;
  std::optional<hdf5::HeapReader> heap_;
  std::vector<std::byte> elements_;
};

bool holds_bytes(const hdf5::Dataset& dataset) {
  const hdf5::Lock lock;
  if (dataset.extents().size() != 1 || dataset.elements() == 0) return false;
  const H5T_class_t type_class = H5Tget_class(dataset.type_id());
  if (type_class == H5T_OPAQUE) return true;
  if (type_class != H5T_VLEN) return false;
  const hdf5::Id item(H5Tget_super(dataset.type_id()));
  return H5Tget_class(item.get()) == H5T_INTEGER && H5Tget_size(item.get()) == 1;
}

}  // namespace

bool ImageRows::holds_images(const hdf5::Dataset& dataset) {
  if (!holds_bytes(dataset) || !dataset.is_written() || dataset.is_read_by_libhdf5()) return false;
  bool is_image = false;
  ImageBytes(dataset).read(0, 1, [&](int64_t, std::span<const std::byte> bytes) {
    is_image = images::format_of(bytes) != images::Format::none;
  });
  return is_image;
}

ImageRows::ImageRows(hdf5::File opened, const std::string& name)
    : StoredRows(std::move(opened), name), dataset_(file().dataset(name, 0)) {
  watch(dataset_);
  require_rows(dataset_);
  size_t stored_bytes = 0;
  ImageBytes(dataset_).read(0, 1, [&](int64_t, std::span<const std::byte> bytes) {
    size_ = images::size_of(bytes);
    stored_bytes = bytes.size();
  });
  facts_.rows = dataset_.extents()[0];
  facts_.shape = size_.channels == 1 ? Shape{size_.height, size_.width}
                                     : Shape{size_.height, size_.width, size_.channels};
  facts_.type = {.kind = hdf5::ElementType::Kind::integer,
                 .bytes = 1,
                 .is_signed = false,
                 .big_endian = false,
                 .name = "uint8",
                 .exact = DType::u8};
  facts_.read_bytes = stored_bytes + static_cast<size_t>(facts_.shape.elements());
  facts_.notes.push_back(fmt::format("{} holds JPEG or PNG images of {}, decoded as they are read", where(),
                                     images::to_string(size_)));
}

void ImageRows::read_runs(std::span<const hdf5::RowRun> runs, DType dtype, std::byte* out) const {
  const auto values = static_cast<size_t>(facts_.shape.elements());
  const hdf5::Convert convert = hdf5::conversion({hdf5::Number::u8, false}, dtype);
  std::vector<std::byte> pixels(dtype == DType::u8 ? 0 : values);
  ImageBytes reader(dataset_);
  for (const hdf5::RowRun& run : runs)
    reader.read(run.first, run.count, [&](int64_t row, std::span<const std::byte> bytes) {
      if (const images::Size size = images::size_of(bytes); !(size == size_))
        reader.fail_at(row,
                       fmt::format("is an image of {}, and the first one is of {}. All images must have the "
                                   "same size: scale or cut them before they are stored",
                                   images::to_string(size), images::to_string(size_)));
      const std::span<std::byte> to = dtype == DType::u8 ? std::span(out, values) : std::span(pixels);
      images::decode(bytes, size_, to);
      if (dtype != DType::u8) convert(pixels.data(), values, out);
      out += values * size_of(dtype);
    });
}

}  // namespace lockstep
