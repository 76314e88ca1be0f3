// SPDX-License-Identifier: Apache-2.0
#include "finpercep/image/overlay.h"

#include <algorithm>

#include <fmt/format.h>

#include "finpercep/base/error.h"
#include "finpercep/image/gray.h"

namespace finpercep {
namespace {

// "inferno" by Nathaniel J. Smith and Stefan van der Walt, CC0 (github.com/BIDS/colormap): entries 0, 15, 30, .., 255 of 256.
constexpr std::array<std::array<float, 3>, 18> kInferno = {{
    {0.001462f, 0.000466f, 0.013866f},
    {0.037668f, 0.025921f, 0.132232f},
    {0.116656f, 0.047574f, 0.272321f},
    {0.217949f, 0.036615f, 0.383522f},
    {0.316282f, 0.053490f, 0.425116f},
    {0.410113f, 0.087896f, 0.433098f},
    {0.503493f, 0.121575f, 0.423356f},
    {0.596940f, 0.154848f, 0.398125f},
    {0.688653f, 0.192239f, 0.357603f},
    {0.775059f, 0.239667f, 0.303526f},
    {0.851384f, 0.302260f, 0.239636f},
    {0.912966f, 0.381636f, 0.169755f},
    {0.956852f, 0.475356f, 0.094695f},
    {0.981895f, 0.579392f, 0.026250f},
    {0.987464f, 0.690366f, 0.079990f},
    {0.973088f, 0.805409f, 0.216877f},
    {0.947594f, 0.917399f, 0.410665f},
    {0.988362f, 0.998364f, 0.644924f},
}};

float unit(float value) { return value > 0.0f ? std::min(value, 1.0f) : 0.0f; }  // NaN becomes 0

void check_map(const Image& map) {
  if (map.channels != 1) throw usage_error(fmt::format("heat map: expected a map of 1 channel, found {}", map.channels));
}

}  // namespace

std::array<float, 3> heat_colour(float value) {
  const float at = unit(value) * static_cast<float>(kInferno.size() - 1);
  const std::size_t left = std::min(static_cast<std::size_t>(at), kInferno.size() - 2);
  const float t = at - static_cast<float>(left);
  std::array<float, 3> colour;
  for (int c = 0; c < 3; ++c) colour[c] = (1.0f - t) * kInferno[left][c] + t * kInferno[left + 1][c];
  return colour;
}

Image heat_map(const Image& map) {
  check_map(map);
  Image result(map.width, map.height);
  for (std::size_t i = 0; i < map.plane_size(); ++i) {
    const auto colour = heat_colour(map.data[i]);
    for (int c = 0; c < 3; ++c) result.plane(c)[i] = colour[c];
  }
  return result;
}

Image overlay(const Image& photo, const Image& map, float alpha) {
  check_map(map);
  if (photo.width != map.width || photo.height != map.height || (photo.channels != 1 && photo.channels != 3)) {
    throw usage_error(fmt::format("overlay: expected a photograph of the map's size {} x {}, found {} x {} x {}. resize one of them",
                                  map.width, map.height, photo.width, photo.height, photo.channels));
  }
  const Image gray = to_gray(photo);
  Image result(photo.width, photo.height);
  for (std::size_t i = 0; i < map.plane_size(); ++i) {
    const auto colour = heat_colour(map.data[i]);
    const float weight = unit(map.data[i]) * alpha;
    for (int c = 0; c < 3; ++c) result.plane(c)[i] = gray.data[i] + weight * (colour[c] - gray.data[i]);
  }
  return result;
}

}  // namespace finpercep
