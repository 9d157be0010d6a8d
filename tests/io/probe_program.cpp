#include "io/probe.h"

namespace lockstep {
namespace {

// A test program is no lockstep: started as a probe it would run all tests again.
[[maybe_unused]] const bool kProbeProgramIsSet = (set_probe_program(LOCKSTEP_BINARY), true);

}  // namespace
}  // namespace lockstep
