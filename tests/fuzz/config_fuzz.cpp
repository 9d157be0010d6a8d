#include <string>

#include "launch/config/config.h"
#include "tests/fuzz/fuzz.h"

/// A config file. What is accepted must read back the same from its echo.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lockstep;
  const std::string text(reinterpret_cast<const char*>(data), size);
  std::string echo;
  fuzz::expect_answer({ExitCode::usage},
                      [&] { echo = echo_config(parse_config(text, "fuzz.toml", "/folder", {})); });
  if (echo.empty()) return 0;
  const std::string again = echo_config(parse_config(echo, "the echo", "/", {}));
  INVARIANT(again == echo, "the echo reads back as something else:\n{}\n{}", echo, again);
  return 0;
}
