// SPDX-License-Identifier: Apache-2.0
#include "finpercep/base/inputs.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"

namespace finpercep {

void expect_inputs(const std::filesystem::path& folder, const Inputs& inputs) {
  const std::filesystem::path file = folder / "inputs.json";
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return;
  Inputs begun;
  try {
    begun = nlohmann::json::parse(read_text_file(file)).get<Inputs>();
  } catch (const nlohmann::json::exception&) {
    throw input_error(fmt::format("{}: expected a JSON object of hashes, found something else. remove it", file.string()));
  }
  for (const auto& [name, now] : inputs)
    if (const auto before = begun.find(name); before != begun.end() && before->second != now)
      throw input_error(
          fmt::format("{}: {}: expected that of hash {}, with which the work here began, found one of {}. give that back, or "
                      "begin another folder",
                      folder.string(), name, before->second, now));
}

void write_inputs(const std::filesystem::path& folder, const Inputs& inputs) {
  write_file(folder / "inputs.json", nlohmann::json(inputs).dump(1, ' ', true, nlohmann::json::error_handler_t::replace) + "\n");
}

}  // namespace finpercep
