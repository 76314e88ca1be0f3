// SPDX-License-Identifier: Apache-2.0
#include "cli/outputs.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "cli/command.h"
#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/interrupt.h"
#include "finpercep/base/log.h"
#include "finpercep/base/memory.h"
#include "finpercep/base/parallel.h"
#include "finpercep/base/pixel_budget.h"
#include "finpercep/image/io.h"
#include "finpercep/image/probe.h"

namespace finpercep {

void add_existing_flags(CLI::App& command, Existing& existing) {
  CLI::Option* replace = command.add_flag_callback(
      "--overwrite", [&existing] { existing = Existing::replace; }, "replace existing files");
  command
      .add_flag_callback(
          "--skip-existing", [&existing] { existing = Existing::skip; }, "leave out pictures whose results are all there")
      ->excludes(replace);
}

namespace {

void check_folder(const std::filesystem::path& folder, const std::vector<std::filesystem::path>& inputs) {
  std::error_code ignored;  // a path that cannot be resolved is met again, and named, when it is read or written
  require_output(folder.string());
  if (folder == "-") throw usage_error("output: expected a folder, found '-'. pictures are written as files");
  if (has_image_name(folder) && !std::filesystem::is_directory(folder, ignored))
    throw usage_error(
        fmt::format("-o: expected a folder, found '{}'. pictures are written into the folder, by their own names", folder.string()));
  for (const auto& input : inputs)
    if (std::filesystem::equivalent(input.parent_path().empty() ? "." : input.parent_path(), folder, ignored))
      throw usage_error(
          fmt::format("output: {}: expected another folder than that of the pictures, where the next command would take the "
                      "results for pictures. choose another -o",
                      folder.string()));
}

}  // namespace

std::vector<std::filesystem::path> check_outputs(const std::vector<std::filesystem::path>& inputs, const std::vector<Output>& outputs,
                                                 Existing existing) {
  std::error_code ignored;
  std::set<std::filesystem::path> kinds, read;
  for (const Output& output : outputs) {
    check_folder(output.folder, inputs);
    // With its last slash, which a folder that is not there yet may be given with or without.
    if (!kinds.insert(std::filesystem::weakly_canonical(output.folder / "", ignored) / output.ending).second)
      throw usage_error(fmt::format("output: {}: expected another folder for --gt than for -o. choose another", output.folder.string()));
  }
  for (const auto& input : inputs) read.insert(std::filesystem::weakly_canonical(input, ignored));
  std::map<std::string, std::filesystem::path> known;
  std::vector<std::filesystem::path> left;
  for (const auto& input : inputs) {
    const std::string stem = input.stem().string();
    if (const auto [first, fresh] = known.emplace(stem, input); !fresh)
      throw usage_error(
          fmt::format("output: expected pictures of different names, found {} and {}, which would both become {}. rename one, or choose a "
                      "folder for each",
                      first->second.string(), input.string(), outputs.front().of(input).string()));
    bool done = existing == Existing::skip;
    for (const Output& output : outputs) {
      const auto written = output.of(input);
      if (read.contains(std::filesystem::weakly_canonical(written, ignored)))
        throw usage_error(fmt::format("output: {}: expected another file than the inputs. choose another folder for -o", written.string()));
      if (existing != Existing::skip) refuse_overwrite(written, existing == Existing::replace);
      done = done && std::filesystem::exists(written, ignored);
    }
    if (!done) left.push_back(input);
  }
  if (left.size() < inputs.size()) log_info(fmt::format("{} of {} pictures are done already", inputs.size() - left.size(), inputs.size()));
  return left;
}

bool is_wanted(const std::filesystem::path& result, Existing existing) {
  std::error_code ignored;
  return existing != Existing::skip || !std::filesystem::exists(result, ignored);
}

std::string for_each_picture(const std::string& label, const std::vector<std::filesystem::path>& inputs, int threads,
                             const std::function<void(int64_t, const Image&, std::span<const std::byte>)>& work) {
  const auto count = static_cast<int64_t>(inputs.size());
  Progress progress(label, count);
  PixelBudget budget(usual_pixels_in_flight);
  std::mutex mutex;
  int64_t done = 0, failed = 0;
  std::string first;
  // Reads and works on picture i; its turn of the budget is taken whether it can be read or not.
  const auto one = [&](int64_t i) {
    int64_t pixels = 0;
    bool entered = false;
    const auto enter = [&] {
      if (!std::exchange(entered, true)) budget.enter(i, pixels);
    };
    std::string failure;
    try {
      const std::vector<std::byte> bytes = read_file(inputs[i]);
      pixels = std::min(probe_image(bytes).pixels(), ReadLimits().max_pixels);
      enter();
      work(i, decode_image(bytes, inputs[i].string()), bytes);
    } catch (const WriteError&) {  // no picture's fault
      throw;
    } catch (const Error& error) {
      if (count == 1 || error.code() != ExitCode::input) throw;
      failure = error.what();
    } catch (const std::exception& error) {
      if (count == 1 || !out_of_memory(error)) throw;
      failure = fmt::format("{}: {}: expected enough memory for this picture, ran out. do it alone, or make it smaller", label,
                            inputs[i].string());
    }
    enter();
    budget.leave(pixels);
    return failure;
  };
  parallel_for(count, threads, [&](int64_t i) {
    std::string failure;
    try {
      {
        const std::lock_guard lock(mutex);
        stop_if_interrupted(fmt::format("after {} of {} pictures; these are written", done, count));
      }
      failure = one(i);
    } catch (...) {
      budget.close();  // later pictures need not wait for a turn that does not come
      throw;
    }
    const std::lock_guard lock(mutex);
    progress.advance();
    ++done;
    if (failure.empty()) return;
    log_warning(failure);
    if (failed++ == 0) first = failure;
  });
  return failed == 0 ? ""
                     : fmt::format("{}: {} of {} pictures could not be done and were left out, the first: {}", label, failed, count, first);
}

void check_page(const std::filesystem::path& page, bool overwrite) {
  if (page.extension() != ".html" && page.extension() != ".htm")
    throw usage_error(fmt::format("output: {}: expected a name that ends in .html", page.string()));
  check_output_file(page, overwrite);
}

}  // namespace finpercep
