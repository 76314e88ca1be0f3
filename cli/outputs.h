// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace finpercep {

/// usage_error when some FOLDER/STEM+ENDING that a command will write is one of its inputs, --overwrite or not: that picture would be lost.
void keep_inputs(const std::vector<std::filesystem::path>& inputs, const std::filesystem::path& folder, const std::vector<std::string>& endings);

}  // namespace finpercep
