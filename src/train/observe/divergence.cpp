#include "src/train/observe/divergence.h"

#include <cmath>

#include "io/file/atomic_file.h"

namespace lockstep {

namespace {

/// Drops the sign of NaN, which has no meaning.
double readable(double number) { return std::isnan(number) ? std::fabs(number) : number; }

/// " See FILE.", or why it could not be written.
std::string write_diagnosis(const Diagnosis& diagnosis, const std::string& run_dir) {
  const std::string path = run_dir + "/diagnosis.json";
  try {
    write_text_atomically(path, diagnosis.to_json());
    return fmt::format(" See {}.", path);
  } catch (const Error& error) {
    return fmt::format(" ({})", error.what());
  }
}

}  // namespace

void fail_diverged(const DiagnosisParts& parts, const Divergence& divergence) {
  const StepMetrics& metrics = divergence.metrics;
  const Diagnosis diagnosis = diagnose(parts, metrics, divergence.lr);
  const std::string saved =
      parts.world.rank() == 0 ? write_diagnosis(diagnosis, divergence.run_dir) : std::string();
  // The first rank that ends with an error ends the job.
  parts.world.barrier();
  const std::string in_a_row =
      divergence.skips_steps ? fmt::format(", the {}th such step in a row", divergence.in_a_row) : "";
  fail(ExitCode::diverged,
       "the loss is {} and the norm of the gradients {} at step {} (epoch {}){}: the training diverged. {} "
       "Lower optimizer.lr (it was {}), set train.clip_norm, or check the data with `lockstep data check`.{}",
       readable(metrics.loss), readable(metrics.gradient_norm), metrics.step, diagnosis.epoch, in_a_row,
       diagnosis.hints(), divergence.lr, saved);
}

}  // namespace lockstep
