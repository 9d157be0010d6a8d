#include "launch/report/work_progress.h"

#include <algorithm>
#include <utility>

#include "launch/report/progress.h"
#include "launch/report/report.h"
#include "src/core/log.h"

namespace lockstep {

using namespace std::chrono_literals;

WorkProgress::WorkProgress(std::string what, const Environment& environment)
    : what_(std::move(what)),
      interactive_(environment.interactive),
      line_(environment),
      started_(Clock::now()),
      shown_(started_ + 1s) {}

void WorkProgress::show(int64_t done, int64_t all) {
  const Clock::time_point now = Clock::now();
  if (now < shown_ || all <= 0) return;
  shown_ = now + (interactive_ ? Clock::duration(100ms) : Clock::duration(5s));
  const double share = static_cast<double>(std::min(done, all)) / static_cast<double>(all);
  const double seconds = std::chrono::duration<double>(now - started_).count();
  const std::string text =
      fmt::format("{}  {:.0f} %  {}/s  ETA {}", what_, 100 * share,
                  readable_bytes(static_cast<int64_t>(static_cast<double>(done) / seconds)),
                  readable_seconds(share > 0 ? seconds * (1 - share) / share : 0));
  if (interactive_)
    line_.draw(text.substr(0, static_cast<size_t>(std::max(1, line_.columns()))));
  else
    log_info("{}", text);
}

}  // namespace lockstep
