// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <span>
#include <vector>

namespace finpercep {

/// The ICC profile in a PNG, JPEG, WebP or TIFF: what its numbers mean as colours. Empty where there is none, a damaged one, or one that is
/// not of RGB, which a picture of gray or ink has and its RGB copy must not. Never throws for bad bytes.
std::vector<std::byte> colour_profile(std::span<const std::byte> bytes);

}  // namespace finpercep
