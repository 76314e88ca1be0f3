// SPDX-License-Identifier: Apache-2.0
// Shipped and trained models: safetensors with "format", "kind" and "config" in the metadata.
#pragma once
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "finpercep/base/error.h"
#include "finpercep/base/safetensors.h"
#include "finpercep/base/settings.h"

namespace finpercep {

/// Where NAME is: the file of that name if there is one, else NAME.safetensors in FINPERCEP_MODELS, beside the program's installation
/// or in the source tree's models/. model_error listing the known names, of that kind where one is given, if there is none.
std::filesystem::path find_model(const std::string& name_or_file, const std::string& kind = "");
/// Every *.safetensors in the models folder, sorted.
std::vector<std::filesystem::path> shipped_models();
/// The names of those of a kind ("" for all), by their headers; one whose header cannot be read is of no kind.
std::vector<std::string> shipped_names(const std::string& kind);

/// Reads and checks: our format, checksum, `kind` ("generator", "reward"; "" for either). The config is metadata["config"].
TensorFile read_checkpoint(const std::string& name_or_file, const std::string& kind);
/// A net of the settings that the checkpoint carries, whose weights are still to be loaded (Params without a seed); model_error where there
/// is none of such settings: they are the file's, not the user's.
template <class Net, class Settings>
std::unique_ptr<Net> from_config(const TensorFile& file, const std::string& where) {
  try {
    Settings settings;
    load_settings(settings, file.metadata.at("config"), where);
    return std::make_unique<Net>(settings, std::nullopt);
  } catch (const Error& error) {
    throw model_error(error.what());
  }
}
/// Adds format and kind to `file` and writes it.
void write_checkpoint(const std::filesystem::path& path, TensorFile file, const std::string& kind, const std::string& config_yaml);

}  // namespace finpercep
