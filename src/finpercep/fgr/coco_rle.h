// SPDX-License-Identifier: Apache-2.0
// Masks as SAM's automatic generator and the SA-1B files hold them: JSON with COCO run lengths, compressed (a string) or plain (a list).
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "finpercep/image.h"

namespace finpercep {

/// Lengths of the runs of 0, 1, 0, 1, .. down the columns, from the left column on.
struct RunLengths {
  std::vector<int64_t> counts = {};
  int64_t area = 0;  ///< pixels that are 1
};

struct RunLengthMasks {
  int width = 0, height = 0;
  std::vector<RunLengths> masks;
};

/// Of a mask picture, 1 channel; above a half is 1.
RunLengths run_lengths(const Image& mask);

/// COCO's compressed counts: numbers of 5 bits a character, from the fourth on as differences to the one before last. input_error naming
/// `where` for other characters, a number that is cut off or out of range.
std::vector<int64_t> decode_counts(std::string_view text, const std::string& where);

/// A list of annotations, or an object that holds it as "annotations"; of each, "segmentation" with "size" [height, width] and "counts" is
/// read. input_error naming `where` and the annotation: another form (polygons), sizes that differ, runs that do not cover the picture
/// exactly, more pixels than a picture may have, or masks that cover the picture more than 64 times.
RunLengthMasks parse_sam_masks(const std::string& json, const std::string& where);

}  // namespace finpercep
