// SPDX-License-Identifier: Apache-2.0
#include "finpercep/nets/checkpoint.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>

#include "finpercep/base/error.h"

namespace finpercep {

namespace {

constexpr const char* format_name = "finpercep-1";

// Beside the shared library or the program that this code is part of, where these are installed; else in the source tree.
std::filesystem::path models_folder() {
  if (const char* given = std::getenv("FINPERCEP_MODELS"); given != nullptr && *given != '\0') return given;
  Dl_info part{};
  dladdr(reinterpret_cast<void*>(&models_folder), &part);
  // Of a program's own code dladdr gives only the name that it was started by.
  for (const char* object : {part.dli_fname, "/proc/self/exe"}) {
    std::error_code none;
    const auto file = std::filesystem::canonical(object ? object : "", none);
    const auto installed = file.parent_path().parent_path() / "share" / "finpercep" / "models";
    if (!file.empty() && std::filesystem::is_directory(installed, none)) return installed;
  }
  return FINPERCEP_SOURCE_MODELS;
}

}  // namespace

std::vector<std::filesystem::path> shipped_models() {
  std::vector<std::filesystem::path> found;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(models_folder(), none))
    if (entry.path().extension() == ".safetensors") found.push_back(entry.path());
  std::ranges::sort(found);
  return found;
}

std::vector<std::string> shipped_names(const std::string& kind) {
  std::vector<std::string> names;
  for (const auto& path : shipped_models()) try {
      if (kind.empty() || read_safetensors_metadata(path)["kind"] == kind) names.push_back(path.stem().string());
    } catch (const Error&) {  // who asks for it by name is told what is wrong with it
    }
  return names;
}

std::filesystem::path find_model(const std::string& name_or_file, const std::string& kind) {
  std::error_code none;
  if (std::filesystem::is_regular_file(name_or_file, none)) return name_or_file;
  for (const auto& path : shipped_models())
    if (path.stem() == name_or_file) return path;
  const std::vector<std::string> names = shipped_names(kind);
  if (names.empty())
    throw model_error(
        fmt::format("model: '{}': expected a file or a name, found neither, and no models in {}. FINPERCEP_MODELS names their folder",
                    name_or_file, models_folder().string()));
  for (const char* kind : {"reward", "generator"}) {
    const auto inside = std::filesystem::path(name_or_file) / "checkpoints" / (std::string(kind) + ".safetensors");
    if (std::filesystem::is_regular_file(inside, none))
      throw model_error(
          fmt::format("model: '{}': expected a file or a name, found a run. did you mean {}?", name_or_file, inside.string()));
  }
  const std::string near = nearest(name_or_file, names);
  throw model_error(fmt::format("model: '{}': expected a file or one of: {}; found neither{}", name_or_file, fmt::join(names, ", "),
                                near.empty() ? "" : fmt::format(". did you mean '{}'?", near)));
}

TensorFile read_checkpoint(const std::string& name_or_file, const std::string& kind) {
  const std::filesystem::path path = find_model(name_or_file, kind);
  TensorFile file = read_safetensors(path, Checksum::required);
  const std::string format = file.metadata["format"], found = file.metadata["kind"];
  if (format != format_name)
    throw model_error(fmt::format("model: {}: expected format '{}', found '{}'. it is not a FinPercep checkpoint or of a newer version",
                                  path.string(), format_name, format));
  if (!kind.empty() && found != kind)
    throw model_error(fmt::format("model: {}: expected a {}, found a {}. give another model", path.string(), kind, found));
  if (!file.metadata.contains("config"))
    throw model_error(fmt::format("model: {}: expected metadata 'config', found none. export or train it again", path.string()));
  return file;
}

void write_checkpoint(const std::filesystem::path& path, TensorFile file, const std::string& kind, const std::string& config_yaml) {
  file.metadata["format"] = format_name;
  file.metadata["kind"] = kind;
  file.metadata["config"] = config_yaml;
  write_safetensors(path, file);
}

}  // namespace finpercep
