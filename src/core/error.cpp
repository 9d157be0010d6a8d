#include "src/core/error.h"

#include <string_view>

namespace lockstep {

void fail_check(ExitCode code, const char* file, int line, const char* expression, const std::string& why) {
  // Paths in messages are relative to the source tree, independent of the build folder.
  std::string_view path = file;
  for (const std::string_view folder : {"/src/", "/comm/", "/io/", "/models/", "/launch/", "/tests/"}) {
    if (const auto at = path.rfind(folder); at != std::string_view::npos) {
      path.remove_prefix(at + 1);
      break;
    }
  }
  throw Error(code, fmt::format("{}:{}: {}{}{}", path, line, expression, why.empty() ? "" : ": ", why));
}

}  // namespace lockstep
