// SPDX-License-Identifier: Apache-2.0
// What the work in a folder depends on beside its settings: models, photographs. It goes on with the same or not at all.
#pragma once
#include <filesystem>
#include <map>
#include <string>

namespace finpercep {

/// Hashes by what they are of, as {"network_g": "xxh3:.."}.
using Inputs = std::map<std::string, std::string>;

/// input_error naming the first that is another than in the folder's inputs.json. What that does not know passes, and so does a folder
/// without it.
void expect_inputs(const std::filesystem::path& folder, const Inputs& inputs);
/// Keeps them as inputs.json.
void write_inputs(const std::filesystem::path& folder, const Inputs& inputs);

}  // namespace finpercep
