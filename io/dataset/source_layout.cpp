#include "io/dataset/source_layout.h"

#include "io/dataset/targets/target_names.h"
#include "io/dataset/windows/windows.h"

namespace lockstep {

SourceLayout layout_of(const DataSource& source, const std::optional<Understood>& understood,
                       const DatasetOptions& options) {
  constexpr int kFirst = 0, kLast = -1;
  SourceLayout layout;
  layout.x.length = options.x_length;
  layout.x.missing = options.missing;
  layout.x.sample_axis = source.sample_axis.value_or(understood ? understood->sample_axis : kFirst);
  if (source.y.empty()) return layout;
  layout.y = layout_of_targets({}, source.files, source.y, options);
  const auto x = open_rows(source.files[0], source.x, layout.x),
             y = open_rows(source.files[0], source.y, layout.y);
  const auto last = [](const StoredRows& rows) {
    return rows.facts().axes.empty() ? rows.rows() : rows.facts().axes.back();
  };
  const auto is_length_of_y = [&](int64_t samples) {
    const int64_t stride = source.stride > 0 ? source.stride : source.window;
    return samples == y->rows() || samples == last(*y) ||
           (source.window > 0 && windows_in(samples, source.window, stride) == y->rows());
  };
  int64_t samples = x->rows();
  if (!source.sample_axis && !is_length_of_y(samples) && !x->facts().axes.empty()) {
    const std::vector<int64_t>& axes = x->facts().axes;
    const int other = layout.x.sample_axis == kFirst ? kLast : kFirst;
    const int64_t length = other == kFirst ? axes.front() : axes.back();
    if (is_length_of_y(length)) {
      layout.x.sample_axis = other;
      samples = length;
    }
  }
  if (samples != y->rows() && samples == last(*y)) layout.y.sample_axis = kLast;
  return layout;
}

}  // namespace lockstep
