#include "launch/config/file_format.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "src/core/error.h"

namespace lockstep {

namespace {

struct Ending {
  std::string_view ending, format;
};

/// The first ending of a format is suggested in messages. Other endings are accepted for any format.
constexpr Ending kEndings[] = {
    {".h5", "HDF5"},
    {".hdf5", "HDF5"},
    {".hdf", "HDF5"},
    {".h5ad", "HDF5"},
    {".csv", "CSV"},
    {".svg", "SVG"},
    {".png", "PNG"},
    {".jpg", "JPEG"},
    {".jpeg", "JPEG"},
    {".gif", "GIF"},
    {".pdf", "PDF"},
    {".eps", "EPS"},
    {".html", "HTML"},
    {".tsv", "TSV"},
    {".txt", "text"},
    {".json", "JSON"},
    {".jsonl", "JSON"},
    {".npy", "NumPy"},
    {".npz", "NumPy"},
    {".parquet", "Parquet"},
    {".feather", "Arrow"},
    {".arrow", "Arrow"},
    {".xlsx", "a workbook"},
    {".xls", "a workbook"},
    {".pkl", "pickle"},
    {".pt", "PyTorch"},
    {".pth", "PyTorch"},
    {".onnx", "ONNX"},
    {".md", "Markdown"},
    {".toml", "TOML"},
    {".safetensors", "safetensors"},
};

}  // namespace

void check_file_format(const std::string& option, const std::string& path, std::string_view written) {
  std::error_code status;
  if (std::filesystem::is_directory(path, status))
    fail(ExitCode::usage, "{} {}: that is a folder. Name a file in it.", option, path);
  const std::filesystem::path folder = std::filesystem::absolute(path).parent_path();
  if (!std::filesystem::is_directory(folder, status))
    fail(ExitCode::data, "{} {}: the folder {} does not exist. Create it, or name another file.", option,
         path, folder.string());
  if (access(folder.c_str(), W_OK) != 0)
    fail(ExitCode::data, "{} {}: {}: {}. Name a file in a folder that you may write to.", option, path,
         folder.string(), std::strerror(errno));
  std::string ending = std::filesystem::path(path).extension().string();
  std::ranges::transform(ending, ending.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const auto named = std::ranges::find(kEndings, std::string_view(ending), &Ending::ending);
  if (named == std::end(kEndings) || named->format == written) return;
  const auto right = std::ranges::find(kEndings, written, &Ending::format);
  fail(ExitCode::usage, "{} {}: the name implies {}, but only {} is supported. Use a name that ends in {}.",
       option, path, named->format, written, right->ending);
}

}  // namespace lockstep
