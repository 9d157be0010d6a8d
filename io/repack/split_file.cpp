#include "io/repack/split_file.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "io/dataset/source_layout.h"
#include "io/repack/divide_rows.h"
#include "io/repack/output_file.h"
#include "src/core/counted.h"
#include "src/core/error.h"
#include "src/core/thread_pool.h"

namespace lockstep {

namespace {

/// What is divided, and its name in each part.
struct Divided {
  std::string from, to;
  std::unique_ptr<DividedRows> rows;
};

class Splitter {
 public:
  Splitter(const DataSource& source, const std::string& out, const SplitOptions& options)
      : source_(source),
        options_(options),
        in_(hdf5::File::open(source.files[0])),
        output_(out),
        pool_(options.threads) {}

  SplitResult run() {
    require_stored_rows();
    choose_datasets();
    choose_parts();
    std::vector<DivisionPart> parts;
    for (const SplitResult::Part& part : result_.parts) parts.push_back({"/" + part.name, part.samples});
    const Division division{
        part_of_, parts, output_.file(), options_.memory_bytes, pool_, [this](int64_t bytes) {
          done_ += bytes;
          if (options_.progress) options_.progress(done_, all_);
        }};
    for (const Divided& divided : divided_) divided.rows->divide(division, divided.to);
    output_.commit();
    return std::move(result_);
  }

 private:
  void require_stored_rows() const {
    if (source_.window > 0)
      fail(ExitCode::usage,
           "data.train.window: windows overlap, and are not divided. Divide the rows, and set "
           "window where they are trained on.");
    if (!source_.rows.is_all())
      fail(ExitCode::usage,
           "data.train.rows: all rows are divided. A config takes a part of them without a copy: "
           "rows = \"{}\".",
           to_string(source_.rows));
  }

  void choose_datasets() {
    const SourceLayout layout = layout_of(source_, {}, options_.reading);
    // Names of classes are divided as they are stored.
    divided_.push_back({source_.x, "x", open_to_divide(in_, source_.x, layout.x)});
    const int64_t samples = divided_[0].rows->rows();
    if (!source_.y.empty()) {
      divided_.push_back({source_.y, "y", open_to_divide(in_, source_.y, layout.y)});
      if (divided_[1].rows->rows() != samples)
        fail(ExitCode::data, "{}: {} has {}, but {} has {}.", in_.path(), source_.x,
             counted(samples, "sample"), source_.y, divided_[1].rows->rows());
    }
    part_of_.resize(static_cast<size_t>(samples));
    const std::string group = source_.x.substr(0, source_.x.rfind('/') + 1);
    for (const std::string& name : in_.dataset_names(SIZE_MAX))
      if (name.starts_with(group) && name.find('/', group.size()) == std::string::npos)
        add_beside(group, name);
    for (const Divided& divided : divided_) {
      all_ += divided.rows->bytes();
      result_.datasets.push_back(divided.to);
    }
  }

  /// Another data set of the group.
  void add_beside(const std::string& group, const std::string& name) {
    if (name == source_.x || name == source_.y) return;
    const std::string own = name.substr(group.size());
    const auto leave_out = [&](const std::string& why) {
      result_.left_out.push_back(fmt::format("{} {}", name, why));
    };
    // Whose fields are divided already.
    if (source_.x.starts_with(name + ".") || source_.y.starts_with(name + ".")) return;
    try {
      std::unique_ptr<DividedRows> rows = open_to_divide(in_, name);
      if (rows->rows() != static_cast<int64_t>(part_of_.size()))
        leave_out(fmt::format("has {} rows", rows->rows()));
      else if (own == "x" || (own == "y" && !source_.y.empty()))
        leave_out("has a name that another data set takes");
      else
        divided_.push_back({name, own, std::move(rows)});
    } catch (const Error& e) {
      result_.left_out.emplace_back(e.what());
    }
  }

  void choose_parts() {
    std::unique_ptr<Dataset> labelled;
    std::function<int64_t(int64_t)> class_of;
    if (options_.by_class) {
      // Labels only: nothing of x is kept.
      DatasetOptions reading = options_.reading;
      reading.memory_budget = 0;
      reading.probe = false;
      labelled = open_dataset(source_, reading);
      if (labelled->target_kind() != TargetKind::classes || labelled->y_shape().rank() != 0)
        fail(ExitCode::usage, "--by-class needs one class per sample, which {}:{} does not hold.",
             source_.files[0], source_.y);
      class_of = [&](int64_t sample) { return labelled->label(sample); };
    }
    part_of_ = assign_parts(static_cast<int64_t>(part_of_.size()), class_of, options_.parts, options_.seed);
    for (const SplitPart& part : options_.parts) {
      result_.parts.push_back({.name = part.name});
      output_.file().create_group("/" + part.name);
    }
    for (size_t sample = 0; sample < part_of_.size(); ++sample) {
      SplitResult::Part& part = result_.parts[part_of_[sample]];
      ++part.samples;
      if (class_of) ++part.classes[class_of(static_cast<int64_t>(sample))];
    }
    if (labelled) {
      result_.class_names = labelled->class_names();
      result_.first_label = labelled->understood().first_label;
    }
  }

  const DataSource& source_;
  const SplitOptions& options_;
  hdf5::File in_;
  OutputFile output_;
  ThreadPool pool_;
  std::vector<Divided> divided_;
  int64_t all_ = 0, done_ = 0;
  std::vector<uint8_t> part_of_;  ///< each sample
  SplitResult result_;
};

}  // namespace

SplitResult split_file(const DataSource& source, const std::string& out, const SplitOptions& options) {
  INVARIANT(source.files.size() == 1, "{} files to split", source.files.size());
  return Splitter(source, out, options).run();
}

}  // namespace lockstep
