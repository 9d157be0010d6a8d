#include "io/hdf5/elements/text_reader.h"

#include <algorithm>

#include "io/hdf5/filters/filters.h"

namespace lockstep::hdf5 {

bool holds_text(const Dataset& dataset) {
  const Lock lock;
  return H5Tget_class(dataset.type_id()) == H5T_STRING;
}

TextReader::TextReader(const Dataset& dataset) : dataset_(dataset) {
  dataset.require_filters();
  const Lock lock;
  if (has_variable_length(dataset.type_id())) heap_.emplace(dataset);
  pads_with_spaces_ = H5Tget_strpad(dataset.type_id()) == H5T_STR_SPACEPAD;
}

std::string_view TextReader::text_of(std::span<const std::byte> element) {
  const std::span<const std::byte> bytes = heap_ ? heap_->get(element, 1) : element;
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  text = text.substr(0, text.find('\0'));
  if (pads_with_spaces_) text = text.substr(0, text.find_last_not_of(' ') + 1);
  return text;
}

void TextReader::read(int64_t first, int64_t count,
                      const std::function<void(int64_t, std::string_view)>& visit) {
  const size_t bytes = dataset_.type().bytes;
  const int64_t in_row = dataset_.elements() / dataset_.extents().at(0);
  raw_.resize(static_cast<size_t>(count * in_row) * bytes);
  dataset_.read_rows(first, count, std::nullopt, raw_.data());
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
