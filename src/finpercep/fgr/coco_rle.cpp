// SPDX-License-Identifier: Apache-2.0
#include "finpercep/fgr/coco_rle.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "finpercep/base/error.h"
#include "finpercep/image/io.h"

namespace finpercep {

namespace {

using nlohmann::json;

constexpr int deepest = 6;           // annotations > one > segmentation > counts > number, and some air
constexpr int64_t most_layers = 64;  // SAM nests a few masks; this bounds the painting

Error malformed(const std::string& where, const std::string& expected) {
  return input_error(
      fmt::format("sam masks: {}: expected {}. write them with SAM's output_mode coco_rle or uncompressed_rle", where, expected));
}

int64_t side_of(const json& size, std::size_t index, const std::string& where) {
  if (!size.is_array() || size.size() != 2 || !size[index].is_number_unsigned() ||
      size[index].get<uint64_t>() - 1 >= static_cast<uint64_t>(ReadLimits().max_side))
    throw malformed(where, fmt::format("\"size\" [height, width] of 1 to {}", ReadLimits().max_side));
  return size[index].get<int64_t>();
}

std::vector<int64_t> counts_of(const json& counts, const std::string& where) {
  if (counts.is_string()) return decode_counts(counts.get_ref<const std::string&>(), where);
  if (!counts.is_array()) throw malformed(where, "\"counts\" as a string or a list");
  std::vector<int64_t> found;
  found.reserve(counts.size());
  for (const json& count : counts) {
    if (!count.is_number_unsigned() || count.get<uint64_t>() > INT32_MAX) throw malformed(where, "run lengths of 0 or more");
    found.push_back(count.get<int64_t>());
  }
  return found;
}

}  // namespace

RunLengths run_lengths(const Image& mask) {
  RunLengths runs{.counts = {0}};
  bool inside = false;
  for (int x = 0; x < mask.width; ++x)
    for (int y = 0; y < mask.height; ++y) {
      const bool now = mask.at(0, y, x) > 0.5f;
      if (now != inside) runs.counts.push_back(0);
      inside = now;
      ++runs.counts.back();
      runs.area += now;
    }
  return runs;
}

std::vector<int64_t> decode_counts(std::string_view text, const std::string& where) {
  std::vector<int64_t> counts;
  for (std::size_t at = 0; at < text.size();) {
    int64_t value = 0;
    bool more = true;
    for (int shift = 0; more; shift += 5, ++at) {
      if (at == text.size() || shift > 30) throw malformed(where, "whole numbers in \"counts\", found one cut off or too long");
      const int digit = text[at] - 48;
      if (digit < 0 || digit > 63)
        throw malformed(where, fmt::format("characters 0 to o in \"counts\", found one of code {}",
                                           static_cast<int>(static_cast<unsigned char>(text[at]))));
      value |= static_cast<int64_t>(digit & 31) << shift;
      more = (digit & 32) != 0;
      if (!more && (digit & 16) != 0) value -= int64_t{32} << shift;  // the sign
    }
    if (counts.size() > 2) value += counts[counts.size() - 2];
    if (value < 0 || value > INT32_MAX) throw malformed(where, fmt::format("run lengths of 0 or more, found {}", value));
    counts.push_back(value);
  }
  return counts;
}

RunLengthMasks parse_sam_masks(const std::string& text, const std::string& where) {
  // What lies deeper than anything we read is not kept, so that nesting costs no memory.
  const json root = json::parse(
      text, [](int depth, json::parse_event_t, const json&) { return depth <= deepest; }, false);
  if (root.is_discarded()) throw malformed(where, "JSON");
  const json* list = &root;
  if (root.is_object() && root.contains("annotations")) list = &root["annotations"];
  if (!list->is_array()) throw malformed(where, "a list of annotations");
  RunLengthMasks found;
  int64_t painted = 0;
  for (std::size_t i = 0; i < list->size(); ++i) {
    const std::string place = fmt::format("{}: annotation {}", where, i);
    const json& annotation = (*list)[i];
    if (!annotation.is_object() || !annotation.contains("segmentation")) throw malformed(place, "\"segmentation\"");
    const json& segmentation = annotation["segmentation"];
    if (!segmentation.is_object() || !segmentation.contains("size") || !segmentation.contains("counts"))
      throw malformed(place, "a \"segmentation\" with \"size\" and \"counts\" (no polygons)");
    const int64_t height = side_of(segmentation["size"], 0, place), width = side_of(segmentation["size"], 1, place),
                  pixels = width * height;
    if (pixels > ReadLimits().max_pixels)
      throw malformed(place, fmt::format("at most {} pixels, found {} x {}", ReadLimits().max_pixels, width, height));
    if (i > 0 && (width != found.width || height != found.height))
      throw malformed(place, fmt::format("a mask of {} x {} as before, found {} x {}", found.width, found.height, width, height));
    found.width = static_cast<int>(width);
    found.height = static_cast<int>(height);
    RunLengths runs{counts_of(segmentation["counts"], place)};
    int64_t total = 0;
    for (std::size_t k = 0; k < runs.counts.size() && total <= pixels; ++k) {
      total += runs.counts[k];
      if (k % 2 == 1) runs.area += runs.counts[k];
    }
    if (total != pixels)
      throw malformed(place, fmt::format("runs of {} pixels in all ({} x {}), found {}", pixels, width, height,
                                         total > pixels ? "more" : std::to_string(total)));
    painted += runs.area;
    if (painted > most_layers * pixels) throw malformed(place, fmt::format("masks that cover the picture at most {} times", most_layers));
    found.masks.push_back(std::move(runs));
  }
  return found;
}

}  // namespace finpercep
