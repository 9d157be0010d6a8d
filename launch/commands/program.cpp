#include "launch/commands/program.h"

#include <span>
#include <string>

#include "src/core/error.h"
#include "src/core/hash.h"
#include "src/core/log.h"

namespace lockstep {

World& Program::world() {
  if (!world_) {
    world_ = std::make_unique<World>(environment_.launcher);
    first_ = std::make_unique<FirstOfMachine>(*world_);
    set_log_rank(world_->rank(), world_->size());
    const std::string version = LOCKSTEP_VERSION;
    if (const auto rank = world_->find_different(hash_bytes(std::as_bytes(std::span(version)))))
      fail(ExitCode::usage,
           "rank {} runs another version of Lockstep than rank 0; this one is {}. Start the same program on "
           "every machine.",
           *rank, version);
  }
  return *world_;
}

}  // namespace lockstep
