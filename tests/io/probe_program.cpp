#include "io/probe/probe.h"
#include "tests/support/binary.h"

namespace lockstep {
namespace {

// A test program is no lockstep: started as a probe it would run all tests again.
[[maybe_unused]] const bool kProbeProgramIsSet = (set_probe_program(lockstep_binary()), true);

}  // namespace
}  // namespace lockstep
