// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace finpercep {

/// Before any work, of FOLDER/STEM+ENDING for every input and ending: usage_error where one is itself an input, --overwrite or not (that
/// picture would be lost), or would be written twice (two inputs of one stem); the error of refuse_overwrite where it exists.
void check_outputs(const std::vector<std::filesystem::path>& inputs, const std::filesystem::path& folder,
                   const std::vector<std::string>& endings, bool overwrite);

/// Of one HTML page: usage_error for another ending, so that no --overwrite can make a page of what it is about (a manifest, a run's
/// metrics); the error of refuse_overwrite.
void check_page(const std::filesystem::path& page, bool overwrite);

}  // namespace finpercep
