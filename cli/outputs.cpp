// SPDX-License-Identifier: Apache-2.0
#include "cli/outputs.h"

#include <fmt/format.h>

#include <set>

#include "finpercep/base/error.h"

namespace finpercep {

void keep_inputs(const std::vector<std::filesystem::path>& inputs, const std::filesystem::path& folder, const std::vector<std::string>& endings) {
  std::error_code ignored;  // a path that cannot be resolved is met again, and named, when it is read or written
  std::set<std::filesystem::path> read;
  for (const auto& input : inputs) read.insert(std::filesystem::weakly_canonical(input, ignored));
  for (const auto& input : inputs)
    for (const std::string& ending : endings) {
      const auto written = folder / (input.stem().string() + ending);
      if (read.contains(std::filesystem::weakly_canonical(written, ignored)))
        throw usage_error(fmt::format("output: {}: expected another file than the inputs. choose another folder for -o", written.string()));
    }
}

}  // namespace finpercep
