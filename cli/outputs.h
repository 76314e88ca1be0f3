// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "finpercep/image.h"

namespace CLI {
class App;
}

namespace finpercep {

/// What becomes of results that are there already.
enum class Existing { refuse, replace, skip };
/// --overwrite and --skip-existing.
void add_existing_flags(CLI::App& command, Existing& existing);

/// The inputs that are to be done: all, or with Existing::skip those of which a result is missing. Before any work, of FOLDER/STEM+ENDING
/// for every input and ending: usage_error where FOLDER has a picture's name and is none yet, where one is itself an input, --overwrite or
/// not (that picture would be lost), where the folder is an input's own, or would be written twice (two inputs of one stem); with
/// Existing::refuse the error of refuse_overwrite where it exists.
std::vector<std::filesystem::path> check_outputs(const std::vector<std::filesystem::path>& inputs, const std::filesystem::path& folder,
                                                 const std::vector<std::string>& endings, Existing existing);

/// Reads the pictures and does `work` on each (its number, what it shows, the file as it is), on `threads` threads (0: all cores), with a
/// progress bar and an eye on signals. One that cannot be read is a warning, and at the end input_error says how many there were; of a
/// single picture it is the error itself.
void for_each_picture(const std::string& label, const std::vector<std::filesystem::path>& inputs, int threads,
                      const std::function<void(int64_t index, const Image& picture, std::span<const std::byte> file)>& work);

/// Of one HTML page: usage_error for another ending, so that no --overwrite can make a page of what it is about (a manifest, a run's
/// metrics); the error of refuse_overwrite.
void check_page(const std::filesystem::path& page, bool overwrite);

}  // namespace finpercep
