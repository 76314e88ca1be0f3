// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace finpercep {

/// Before any work, of FOLDER/STEM+ENDING for every input and ending: usage_error where one is itself an input, --overwrite or not (that picture would be lost), or would be written
/// twice (two inputs of one stem); the error of refuse_overwrite where it exists.
void check_outputs(const std::vector<std::filesystem::path>& inputs, const std::filesystem::path& folder, const std::vector<std::string>& endings, bool overwrite);

}  // namespace finpercep
