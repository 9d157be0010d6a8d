#include "launch/run/generated_digits.h"

#include <filesystem>

#include "io/import/synth_digits.h"
#include "src/core/error.h"
#include "src/core/log.h"

namespace lockstep {

namespace {

std::string digits_file(const std::string& cache_folder) {
  return cache_folder + "/digits-60000-10000-seed1.h5";
}

}  // namespace

void name_generated_digits(TrainOptions& options, const std::string& cache_folder) {
  if (!options.data.train.files.empty()) return;
  const std::string file = digits_file(cache_folder);
  options.data.train = {{file}, "/train/x", "/train/y"};
  if (!options.data.test) options.data.test = DataSource{{file}, "/test/x", "/test/y"};
}

void make_generated_digits(const TrainOptions& options, World& world, const std::string& cache_folder) {
  const std::string file = digits_file(cache_folder);
  if (options.data.train.files != std::vector<std::string>{file}) return;
  std::error_code status;
  if (world.local_rank() == 0 && !std::filesystem::exists(file, status)) {
    if (!status) std::filesystem::create_directories(cache_folder, status);
    if (status)
      fail(ExitCode::data,
           "cannot create the cache folder {}: {}. Set XDG_CACHE_HOME to a writable folder, or name data "
           "with data.train.",
           cache_folder, status.message());
    log_info("data.train is not set: generating 60,000 + 10,000 digits into {}", file);
    synth_digits(file, {});
  }
  world.barrier();
}

}  // namespace lockstep
