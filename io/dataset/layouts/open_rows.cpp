#include "io/dataset/layouts/open_rows.h"

#include <utility>

#include "io/dataset/layouts/axis_rows.h"
#include "io/dataset/layouts/csr_rows.h"
#include "io/dataset/layouts/image_rows.h"
#include "io/dataset/layouts/named_rows.h"
#include "io/dataset/layouts/plain_rows.h"
#include "io/dataset/layouts/record_fields.h"
#include "io/dataset/layouts/record_rows.h"
#include "io/dataset/layouts/separate_rows.h"
#include "io/dataset/layouts/sequence_rows.h"
#include "io/dataset/layouts/unpacked_rows.h"

namespace lockstep {

namespace {

/// The axis of a data set that counts the samples, from 0 on.
int axis_of(const hdf5::Dataset& dataset, int sample_axis) {
  const auto axes = static_cast<int>(dataset.extents().size());
  const int axis = sample_axis < 0 ? sample_axis + axes : sample_axis;
  // One number has no axis; it is refused as such.
  if (axes > 0 && (axis < 0 || axis >= axes))
    fail(ExitCode::data, "{} has no axis {}, by which sample_axis counts the samples: its shape is {}.",
         dataset.where(), sample_axis, to_string(Shape(dataset.extents())));
  return axes > 0 ? axis : 0;
}

/// How the numbers of a data set are to be unpacked; none: they are what they are.
std::optional<Packing> packing_to_undo(const hdf5::Dataset& dataset, const RowLayout& layout) {
  using Kind = hdf5::ElementType::Kind;
  const Kind kind = dataset.type().kind;
  if (kind == Kind::other) return std::nullopt;
  std::optional<Packing> packing = packing_of(dataset);
  if (packing && layout.are_targets && kind == Kind::integer && !packing->changes_values())
    return std::nullopt;
  if (!packing && kind == Kind::floating && layout.missing) packing.emplace();
  return packing;
}

/// Throws Error(data) if another axis than the first is to count the samples of what is no array of numbers.
void require_first_axis(const hdf5::File& file, const std::string& name, const RowLayout& layout,
                        const char* what) {
  if (layout.sample_axis == 0) return;
  fail(ExitCode::data, "{}:{}: sample_axis = {} is for arrays of numbers, and this is {}. Remove it.",
       file.path(), printable(name), layout.sample_axis, what);
}

}  // namespace

std::unique_ptr<StoredRows> open_rows(const std::string& path, const std::string& name,
                                      const RowLayout& layout) {
  const hdf5::Lock lock;
  hdf5::File file = hdf5::File::open(path);
  if (layout.names.are_stored) return std::make_unique<NamedRows>(std::move(file), name, layout.names.names);
  if (SeparateRows::is_pattern(file, name)) {
    require_first_axis(file, name, layout, "a data set for each sample");
    return std::make_unique<SeparateRows>(std::move(file), name);
  }
  if (CsrRows::is_sparse(file, name)) {
    require_first_axis(file, name, layout, "a sparse matrix");
    return std::make_unique<CsrRows>(std::move(file), name);
  }
  const RecordName meant = record_name(file, name);
  require_dataset(file, meant.data_set);
  // Decoded blocks are cached outside the lock of libhdf5; its own chunk cache would only hold them twice.
  hdf5::Dataset dataset = file.dataset(meant.data_set, 0);
  if (dataset.extents().size() > static_cast<size_t>(Shape::kMaxRank)) require_rows(dataset);
  const int axis = axis_of(dataset, layout.sample_axis);
  if (!meant.fields.empty() || is_complex(dataset.type())) {
    std::vector<RecordField> fields =
        meant.fields.empty() ? fields_of(dataset) : fields_named(dataset, meant.fields);
    return std::make_unique<RecordRows>(std::move(file), name, std::move(dataset), std::move(fields), axis);
  }
  if (ImageRows::holds_images(dataset)) return std::make_unique<ImageRows>(std::move(file), name);
  if (SequenceRows::holds_sequences(dataset))
    return std::make_unique<SequenceRows>(std::move(file), name, layout.length, layout.padding);
  if (std::optional<Packing> packing = packing_to_undo(dataset, layout)) {
    if (axis != 0)
      require_first_axis(file, name, layout, "packed by the CF conventions, or has missing values");
    return std::make_unique<UnpackedRows>(std::move(file), name, *std::move(packing), layout.missing);
  }
  if (axis != 0) return std::make_unique<AxisRows>(std::move(file), name, std::move(dataset), axis);
  return std::make_unique<PlainRows>(std::move(file), name, std::move(dataset));
}

std::string usable_as(const hdf5::Dataset& dataset) {
  if (!dataset.has_data() || dataset.elements() == 0) return "";
  if (is_complex(dataset.type())) return "complex numbers, two channels on a new last axis";
  const std::vector<RecordField> fields = fields_of(dataset);
  const std::string naming = fields.empty() ? "" : naming_fields(dataset, fields);
  return naming.empty() ? "" : fmt::format("a table: {}; its fields: {}", naming, fields_in_words(fields));
}

}  // namespace lockstep
