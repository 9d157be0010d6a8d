#include "io/hdf5/elements/text_reader.h"

#include <algorithm>
#include <cstring>

#include "io/hdf5/crash_report.h"
#include "io/hdf5/filters/filters.h"

namespace lockstep::hdf5 {

namespace {

/// Records with fields of variable length, read by libhdf5, whose values it frees at the end.
class ReadRecords {
 public:
  /// out: null: reads nothing.
  ReadRecords(const Dataset& dataset, int64_t first, int64_t count, std::byte* out)
      : dataset_(dataset), out_(out) {
    if (out == nullptr) return;
    const Lock lock;
    const InsideLibhdf5 inside(dataset.file().c_str(), dataset.name().c_str());
    std::vector<hsize_t> start(dataset.extents().size(), 0);
    std::vector<hsize_t> size(dataset.extents().begin(), dataset.extents().end());
    start[0] = static_cast<hsize_t>(first);
    size[0] = static_cast<hsize_t>(count);
    const Id stored(H5Dget_space(dataset.id()));
    memory_ = Id(H5Screate_simple(static_cast<int>(size.size()), size.data(), nullptr));
    if (H5Sselect_hyperslab(stored.get(), H5S_SELECT_SET, start.data(), nullptr, size.data(), nullptr) < 0 ||
        H5Dread(dataset.id(), dataset.type_id(), memory_.get(), stored.get(), H5P_DEFAULT, out) < 0)
      fail(ExitCode::data, "{}: samples {} to {} cannot be read: {}. The file is damaged.", dataset.where(),
           first, first + count - 1, last_error());
  }
  ~ReadRecords() {
    const Lock lock;
    if (out_ != nullptr) H5Dvlen_reclaim(dataset_.type_id(), memory_.get(), H5P_DEFAULT, out_);
  }
  ReadRecords(const ReadRecords&) = delete;
  ReadRecords& operator=(const ReadRecords&) = delete;

 private:
  const Dataset& dataset_;
  std::byte* out_;
  Id memory_;
};

}  // namespace

bool holds_text(const Dataset& dataset) {
  const Lock lock;
  return H5Tget_class(dataset.type_id()) == H5T_STRING;
}

std::optional<TextPlace> text_place(hid_t type, size_t offset) {
  const Lock lock;
  if (H5Tget_class(type) != H5T_STRING) return std::nullopt;
  return TextPlace{.offset = offset,
                   .bytes = H5Tget_size(type),
                   .has_variable_length = has_variable_length(type),
                   .pads_with_spaces = H5Tget_strpad(type) == H5T_STR_SPACEPAD};
}

/// The place of strings that are the whole elements. In the file, one of variable length is a reference.
static TextPlace whole_elements(const Dataset& dataset) {
  TextPlace place = text_place(dataset.type_id()).value();
  place.bytes = dataset.type().bytes;
  return place;
}

TextReader::TextReader(const Dataset& dataset) : TextReader(dataset, whole_elements(dataset)) {
  if (place_.has_variable_length) heap_.emplace(dataset);
}

TextReader::TextReader(const Dataset& dataset, const TextPlace& place) : dataset_(dataset), place_(place) {
  dataset.require_filters();
  if (place_.offset > dataset.type().bytes || place_.bytes > dataset.type().bytes - place_.offset)
    fail(ExitCode::data, "{} is damaged: a string has no place in its elements.", dataset.where());
}

std::string_view TextReader::text_of(std::span<const std::byte> element) {
  const auto stored = element.subspan(place_.offset, place_.bytes);
  std::string_view text;
  if (place_.has_variable_length && !heap_) {  // read by libhdf5
    const char* pointer = nullptr;
    std::memcpy(&pointer, stored.data(), sizeof(pointer));
    text = pointer == nullptr ? "" : pointer;
  } else {
    const std::span<const std::byte> bytes = heap_ ? heap_->get(stored, 1) : stored;
    text = {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  text = text.substr(0, text.find('\0'));
  if (place_.pads_with_spaces) text = text.substr(0, text.find_last_not_of(' ') + 1);
  return text;
}

void TextReader::read(int64_t first, int64_t count,
                      const std::function<void(int64_t, std::string_view)>& visit) {
  const size_t bytes = dataset_.type().bytes;
  const int64_t in_row = dataset_.elements() / dataset_.extents().at(0);
  raw_.resize(static_cast<size_t>(count * in_row) * bytes);
  const bool is_by_libhdf5 = !heap_ && !dataset_.holds_values();
  const ReadRecords records(dataset_, first, count, is_by_libhdf5 ? raw_.data() : nullptr);
  if (!is_by_libhdf5) dataset_.read_rows(first, count, std::nullopt, raw_.data());
  for (int64_t element = 0; element < count * in_row; ++element) {
    std::string_view text;
    try {
      text = text_of(std::span(raw_).subspan(static_cast<size_t>(element) * bytes, bytes));
    } catch (const filters::BadChunk& e) {
      fail(ExitCode::data,
           "{}: the text of sample {} cannot be read: {}. Copy or download the file again, or "
           "recreate it.",
           dataset_.where(), first + element / in_row, e.what());
    }
    visit(element, text);
  }
}

}  // namespace lockstep::hdf5
