// SPDX-License-Identifier: Apache-2.0
// Region masks that follow what a picture shows: from label maps that people or SAM made, or from segments.h's own.
#pragma once
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "finpercep/fgr/coco_rle.h"
#include "finpercep/fgr/mask.h"

namespace finpercep {

/// A region's number for each pixel, row by row; 0 is no region.
struct LabelMap {
  int width = 0, height = 0;
  std::vector<uint16_t> ids;
};

/// The label map of a photograph, from the first of `folders` that has one of: STEM.png (a label map: gray values or palette indices as
/// numbers), STEM.json (SAM's masks), STEM/ (a folder of mask pictures), STEM_0.png or STEM_1.png and so on (mask pictures). Where masks
/// overlap, the smaller lies on top. Of the photo's size; a map in the same proportion is scaled (photos may have been reduced), another
/// size is an input_error.
/// `photographs`: stems of photographs, whose label maps STEM.png are no numbered masks of another.
std::optional<LabelMap> read_segments(const std::vector<std::string>& folders, const std::string& stem, int width, int height,
                                      const std::set<std::string>& photographs = {});

/// The part of read_segments that needs no file.
LabelMap paint(const RunLengthMasks& masks);

/// As PhotoSet cuts a photo: the rectangle, then mirrored where `flip` says so.
LabelMap cut(const LabelMap& map, int x, int y, int width, int height, bool flip);
/// Nearest neighbour.
LabelMap resize(const LabelMap& map, int width, int height);

/// A random set of the map's regions whose share of the picture is near a random draw from the range of areas, feathered as other masks
/// are. Nothing where no set comes within the range (to a factor of 1.25): no region, or one that fills the picture.
std::optional<Image> semantic_mask(const LabelMap& map, const MaskSettings& settings, Random& random);

}  // namespace finpercep
