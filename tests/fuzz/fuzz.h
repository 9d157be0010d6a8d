#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <initializer_list>
#include <string>

#include "src/core/error.h"

namespace lockstep::fuzz {

/// What a fuzzer made up, as a file of this process that is overwritten by the next. Returns its path.
std::string as_file(const uint8_t* data, size_t size);

/// Reads something that may be anything. It may be fine, or be refused with an Error of one of the codes that
/// says why; everything else ends the fuzzer with a finding.
void expect_answer(std::initializer_list<ExitCode> refusals, const std::function<void()>& read);

}  // namespace lockstep::fuzz
