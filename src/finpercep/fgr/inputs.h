// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "finpercep/base/inputs.h"
#include "finpercep/fgr/sample.h"

namespace finpercep {

/// What samples depend on beside their settings: photographs, models, segments. A build or a training that goes on with others would mix
/// two data sets.
Inputs inputs_of(const FgrBuilder& builder);

/// A source that is a model file or a folder of pictures can change under its name; its hash tells. "" for one that is neither.
std::string hash_of_source(const std::string& source);
/// Its name among the inputs.
std::string source_key(const std::string& source);

}  // namespace finpercep
