#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace lockstep {

struct ImportTextOptions {
  /// Whether tokens are the characters that occur (Unicode code points, in their order), rather than bytes.
  bool characters = false;
  double test = 0.1;  ///< share of the tokens, the last ones, that is held out as /test; 0: none
};

struct ImportedText {
  int64_t train = 0, test = 0;  ///< tokens
  int64_t vocabulary = 256;
};

/// Converts a text file to token ids: /train/x (N) and /test/x (M), uint8 up to 256 different tokens and
/// otherwise int32. Bytes have the ids 0 to 255. Of characters there is also /vocabulary (V) int32, the code
/// point of each id. Throws Error(data) naming a file that is missing or empty or, with characters, the place
/// of bytes that are not UTF-8; Error(usage) if a part would be empty. `out` appears complete or not at all.
/// progress: called now and then with bytes handled; of characters, the text is handled twice.
ImportedText import_text(const std::string& source, const std::string& out, const ImportTextOptions& options,
                         const std::function<void(int64_t done, int64_t all)>& progress = nullptr);

}  // namespace lockstep
