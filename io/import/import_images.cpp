#include "io/import/import_images.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <optional>
#include <span>
#include <utility>

#include "io/import/divide_by_name.h"
#include "io/import/image_reader.h"
#include "io/import/image_rows.h"
#include "io/import/named_classes.h"
#include "io/repack/output_file.h"
#include "src/core/counted.h"
#include "src/core/error.h"
#include "src/core/text/printable.h"
#include "src/core/thread_pool.h"

namespace lockstep {

namespace {

using images::BadImage;
using images::Pixels;
using images::Size;

/// Calls work(i) for [0, count), each on any lane.
void for_each_on(ThreadPool& pool, size_t count, const std::function<void(size_t)>& work) {
  std::atomic<size_t> next = 0;
  pool.run([&](int) {
    for (size_t i = next++; i < count; i = next++) work(i);
  });
}

class ImageImport {
 public:
  ImageImport(const std::string& folder, const ImportImagesOptions& options)
      : options_(options),
        list_(options.labels.empty() ? list_classes(folder)
                                     : list_labelled(folder, options.labels, options.values)),
        pool_(options.threads) {
    for (LeftOut& file : std::exchange(list_.unusable, {})) leave_out(std::move(file));
  }

  ImportedImages write(const std::string& out) {
    read_headers();
    choose_size();
    std::vector<std::string> names;
    std::vector<int32_t> class_of;
    for (const size_t file : usable_) {
      names.push_back(list_.files[file]);
      if (!list_.class_of.empty()) class_of.push_back(list_.class_of[file]);
    }
    const DividedSamples parts =
        divide_by_name(names, class_of, options_.validation, options_.test, options_.seed);
    OutputFile output(out);
    write_part(output.file(), "train", parts.train);
    if (!parts.validation.empty()) write_part(output.file(), "validation", parts.validation);
    if (!parts.test.empty()) write_part(output.file(), "test", parts.test);
    output.commit();
    result_.classes = std::move(list_.classes);
    result_.other = std::move(list_.other);
    return std::move(result_);
  }

 private:
  std::string path_of(size_t file) const {
    return (std::filesystem::path(list_.folder) / list_.files[file]).string();
  }

  void leave_out(LeftOut file) {
    if (options_.strict)
      fail(ExitCode::data, "{}: {}. Without --strict, such files are left out.",
           (std::filesystem::path(list_.folder) / file.name).string(), file.reason);
    result_.unusable.push_back(std::move(file));
  }

  void note_done(int64_t bytes) {
    done_ += bytes;
    if (options_.progress) options_.progress(done_, all_);
  }

  void read_headers();
  void choose_size();
  void require_one_size() const;
  [[noreturn]] void fail_without_images() const;
  void write_part(hdf5::File& file, const std::string& name, const std::vector<size_t>& samples);
  void write_targets(hdf5::File& file, const std::string& name, const std::vector<size_t>& files) const;
  Pixels read(size_t file) const;

  const ImportImagesOptions& options_;
  ImageList list_;
  ThreadPool pool_;
  ImportedImages result_;
  std::vector<ImageHeader> headers_;  ///< of each file in the list; those of unusable ones are empty
  std::vector<size_t> usable_;        ///< files whose headers could be read
  int64_t done_ = 0, all_ = 0;
};

void ImageImport::read_headers() {
  constexpr size_t kWindow = 4096;
  const size_t count = list_.files.size();
  headers_.resize(count);
  for (size_t first = 0; first < count; first += kWindow) {
    const size_t window = std::min(kWindow, count - first);
    std::vector<std::string> reasons(window);
    for_each_on(pool_, window, [&](size_t i) {
      try {
        headers_[first + i] = read_image_header(path_of(first + i));
      } catch (const BadImage& bad) {
        reasons[i] = bad.what();
      }
    });
    for (size_t i = 0; i < window; ++i)
      if (reasons[i].empty()) {
        usable_.push_back(first + i);
        all_ += headers_[first + i].file_bytes;
      } else {
        leave_out({list_.files[first + i], reasons[i]});
      }
    if (options_.progress) options_.progress(0, all_);
  }
  if (usable_.empty()) fail_without_images();
}

void ImageImport::fail_without_images() const {
  const LeftOut& first = result_.unusable.front();
  fail(ExitCode::data, "{}: none of {} can be used. {}: {}.", list_.folder,
       counted(result_.unusable.size(), "file"), printable(first.name), first.reason);
}

void ImageImport::choose_size() {
  const bool all_gray =
      std::ranges::all_of(usable_, [&](size_t file) { return headers_[file].size.channels <= 2; });
  const int64_t channels = options_.channels != 0 ? options_.channels : all_gray ? 1 : 3;
  if (options_.height == 0) require_one_size();
  const Size& first = headers_[usable_[0]].size;
  result_.size = options_.height == 0 ? Size{first.height, first.width, channels}
                                      : Size{options_.height, options_.width, channels};
}

void ImageImport::require_one_size() const {
  const size_t first = usable_[0];
  for (const size_t file : usable_) {
    const Size &a = headers_[first].size, &b = headers_[file].size;
    if (a.height == b.height && a.width == b.width) continue;
    fail(ExitCode::data,
         "{}: {} has a size of {} x {}, and {} of {} x {}. Add --size, such as --size {},{}, to give all "
         "images one size.",
         list_.folder, printable(list_.files[first]), a.height, a.width, printable(list_.files[file]),
         b.height, b.width, std::min(a.height, b.height), std::min(a.width, b.width));
  }
}

Pixels ImageImport::read(size_t file) const {
  Pixels image = read_image(path_of(file), headers_[file], result_.size.channels);
  return options_.height == 0 ? std::move(image)
                              : resized(image, result_.size.height, result_.size.width, options_.fit);
}

void ImageImport::write_part(hdf5::File& file, const std::string& name, const std::vector<size_t>& samples) {
  constexpr int64_t kWindowBytes = int64_t{32} << 20;
  const Size& size = result_.size;
  const auto window_images = static_cast<size_t>(
      std::max<int64_t>(2 * pool_.lanes(), kWindowBytes / (size.height * size.width * size.channels)));
  ImageRows rows(file, "/" + name + "/x", size, static_cast<int64_t>(samples.size()));
  std::vector<size_t> written;
  for (size_t first = 0; first < samples.size(); first += window_images) {
    const size_t window = std::min(window_images, samples.size() - first);
    std::vector<Pixels> decoded(window);
    std::vector<std::string> reasons(window);
    for_each_on(pool_, window, [&](size_t i) {
      try {
        decoded[i] = read(usable_[samples[first + i]]);
      } catch (const BadImage& bad) {
        reasons[i] = bad.what();
      }
    });
    int64_t bytes = 0;
    for (size_t i = 0; i < window; ++i) {
      const size_t index = usable_[samples[first + i]];
      bytes += headers_[index].file_bytes;
      if (!reasons[i].empty()) {
        leave_out({list_.files[index], reasons[i]});
        continue;
      }
      rows.append(decoded[i].values);
      written.push_back(index);
    }
    note_done(bytes);
  }
  rows.finish();
  if (written.empty()) fail_without_images();
  write_targets(file, "/" + name + "/y", written);
  ImportedImages::Part part{name, static_cast<int64_t>(written.size()), {}};
  part.of_class.resize(list_.classes.size());
  if (!list_.class_of.empty())
    for (const size_t index : written) ++part.of_class[static_cast<size_t>(list_.class_of[index])];
  result_.parts.push_back(std::move(part));
}

void ImageImport::write_targets(hdf5::File& file, const std::string& name,
                                const std::vector<size_t>& files) const {
  const auto count = static_cast<int64_t>(files.size());
  if (list_.targets == ImageList::Targets::values) {
    std::vector<float> values;
    for (const size_t index : files)
      for (int64_t i = 0; i < list_.values_each; ++i)
        values.push_back(
            list_.values[index * static_cast<size_t>(list_.values_each) + static_cast<size_t>(i)]);
    return file.write(name, {values.data(), DType::f32,
                             list_.values_each == 1 ? Shape{count} : Shape{count, list_.values_each}});
  }
  std::vector<int32_t> numbers;
  for (const size_t index : files) numbers.push_back(list_.class_of[index]);
  if (list_.targets == ImageList::Targets::names)
    return write_named_classes(file, name, numbers, list_.classes);
  for (int32_t& number : numbers) number = std::stoi(list_.classes[static_cast<size_t>(number)]);
  file.write(name, {numbers.data(), DType::i32, {count}});
}

}  // namespace

ImportedImages import_images(const std::string& folder, const std::string& out,
                             const ImportImagesOptions& options) {
  return ImageImport(folder, options).write(out);
}

}  // namespace lockstep
