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

/// One kind of result: FOLDER/STEM+ENDING of each input.
struct Output {
  std::filesystem::path folder;
  std::string ending;
  std::filesystem::path of(const std::filesystem::path& input) const { return folder / (input.stem().string() + ending); }
};

/// The inputs that are to be done: all, or with Existing::skip those of which a result is missing. Before any work, for every input and
/// output: usage_error where a folder is empty, has a picture's name and is none yet, is an input's own or (spelt in any way) twice there
/// with one ending, where a result is itself an input, --overwrite or not (that picture would be lost), or would be written twice (two
/// inputs of one stem); with Existing::refuse the error of refuse_overwrite where one exists.
std::vector<std::filesystem::path> check_outputs(const std::vector<std::filesystem::path>& inputs, const std::vector<Output>& outputs,
                                                 Existing existing);
/// With Existing::skip a result that is there stays, also where another of the same picture is missing.
bool is_wanted(const std::filesystem::path& result, Existing existing);

/// Reads the pictures and does `work` on each (its number, what it shows, the file as it is), on `threads` threads (0: all cores), with a
/// progress bar and an eye on signals. One that cannot be read is a warning, and the result says how many there were: to be thrown as
/// input_error once all else is said, empty where there was none. Of a single picture its own error is thrown.
[[nodiscard]] std::string for_each_picture(
    const std::string& label, const std::vector<std::filesystem::path>& inputs, int threads,
    const std::function<void(int64_t index, const Image& picture, std::span<const std::byte> file)>& work);

/// Of one HTML page: usage_error for another ending, so that no --overwrite can make a page of what it is about (a manifest, a run's
/// metrics); the error of refuse_overwrite.
void check_page(const std::filesystem::path& page, bool overwrite);

}  // namespace finpercep
