#include "launch/slurm/slurm_script.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>
#include <sstream>

#include "launch/slurm/slurm_template.h"
#include "src/core/error.h"

namespace lockstep {

namespace {

/// The maximum number of seconds before its end at which Slurm signals a job.
constexpr int64_t kLongestWarning = 120;

std::string quoted_words(const std::vector<std::string>& words) {
  std::vector<std::string> quoted;
  for (const std::string& word : words) quoted.push_back(shell_quoted(word));
  return fmt::format("{}", fmt::join(quoted, " "));
}

/// The numbers between colons; none if there is anything else.
std::vector<int64_t> numbers_in(const std::string& text) {
  constexpr int64_t kMax = 9'999'999;
  std::vector<int64_t> numbers;
  const char* at = text.data();
  const char* const end = at + text.size();
  for (;; ++at) {
    uint32_t number = 0;
    const auto [behind, error] = std::from_chars(at, end, number);
    if (error != std::errc() || number > kMax || (behind != end && *behind != ':')) return {};
    numbers.push_back(number);
    at = behind;
    if (at == end) return numbers;
  }
}

/// The lines of the template; those of the block at the top are found by their beginnings and replaced.
class Template {
 public:
  Template() {
    std::istringstream text(kTrainSbatch);
    for (std::string line; std::getline(text, line);) lines_.push_back(line);
  }

  /// Replaces the line with this beginning by these lines.
  void replace(const std::string& beginning, const std::vector<std::string>& by) {
    const auto begins = [&](const std::string& line) { return line.starts_with(beginning); };
    INVARIANT(std::count_if(lines_.begin(), lines_.end(), begins) == 1, "slurm/train.sbatch: {}", beginning);
    const auto at = lines_.erase(std::find_if(lines_.begin(), lines_.end(), begins));
    lines_.insert(at, by.begin(), by.end());
  }

  /// An option of sbatch, or none.
  void option(const std::string& name, const std::string& value, const std::string& mark = "#SBATCH --") {
    replace(mark + name + "=", value.empty() ? std::vector<std::string>{}
                                             : std::vector{fmt::format("#SBATCH --{}={}", name, value)});
  }

  std::string text() const {
    std::string all;
    for (const std::string& line : lines_) all += line + "\n";
    return all;
  }

 private:
  std::vector<std::string> lines_;
};

}  // namespace

std::string sbatch_script(const SlurmJob& job) {
  Template script;
  script.option("job-name", job.name);
  script.option("account", job.account, "##SBATCH --");
  script.option("partition", job.partition, "##SBATCH --");
  script.option("time", job.time);
  script.option("nodes", std::to_string(job.nodes));
  script.option("ntasks-per-node", std::to_string(job.tasks_per_node));
  script.option("gpus-per-node", job.gpus_per_node == 0 ? "" : std::to_string(job.gpus_per_node));
  script.option("cpus-per-task", std::to_string(job.cpus_per_task));
  // A short job must not be signaled before it has done anything.
  const int64_t warning = std::min(kLongestWarning, slurm_seconds(job.time) / 4);
  script.option("signal", fmt::format("B:USR1@{}", warning));
  std::vector<std::string> options = {"#SBATCH --requeue"};
  for (const std::string& option : job.options) options.push_back("#SBATCH " + option);
  script.replace("#SBATCH --requeue", options);
  script.replace("launcher=", {"launcher=" + job.launcher});
  script.replace("folder=", {"folder=" + shell_quoted(job.folder)});
  script.replace("program=(", {"program=(" + quoted_words(job.program) + ")"});
  script.replace("arguments=(", {"arguments=(" + quoted_words(job.arguments) + ")"});
  if (!job.run.empty()) script.replace("run=", {"run=" + shell_quoted(job.run)});
  if (!job.setup.empty()) script.replace("# module load", job.setup);
  return script.text();
}

int64_t slurm_seconds(const std::string& time) {
  const size_t dash = time.find('-');
  const bool with_days = dash != std::string::npos;
  const std::vector<int64_t> days = numbers_in(with_days ? time.substr(0, dash) : "0");
  std::vector<int64_t> parts = numbers_in(with_days ? time.substr(dash + 1) : time);
  int64_t seconds = 0;
  if (days.size() == 1 && !parts.empty() && parts.size() <= 3) {
    // One number is minutes, two are minutes and seconds, but behind days the first is always hours.
    if (!with_days && parts.size() < 3) parts.insert(parts.begin(), 0);
    parts.resize(3);
    seconds = ((days[0] * 24 + parts[0]) * 60 + parts[1]) * 60 + parts[2];
  }
  if (seconds == 0)
    fail(ExitCode::usage,
         "--time {}: write HOURS:MINUTES:SECONDS, DAYS-HOURS, MINUTES or MINUTES:SECONDS; 2:00:00 is two "
         "hours",
         time);
  return seconds;
}

std::string shell_quoted(const std::string& text) {
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 ||
           std::string_view("_-./=:,+@%").find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (plain) return text;
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'')
      quoted += R"('\'')";
    else
      quoted += c;
  }
  return quoted + "'";
}

}  // namespace lockstep
