// SPDX-License-Identifier: Apache-2.0
// Regions of a photograph that nobody labelled: superpixels, and DINO tokens clustered and fitted to them.
#pragma once
#include "finpercep/fgr/semantic_mask.h"
#include "finpercep/nets/dino.h"

namespace finpercep {

/// SLIC (Achanta et al., TPAMI 2012): k-means of colour (CIELAB) and place, about `count` connected regions of equal size that keep to
/// edges.
LabelMap superpixels(const Image& picture, int count, double compactness = 10);

/// The 4-connected parts of equal number, renumbered from 1 in reading order; those below `min_area` pixels join the neighbour before them.
LabelMap connected_parts(const LabelMap& map, int64_t min_area);

/// What a picture shows, in parts: patch tokens of the picture (reduced to 518 pixels, the net's own size), spherical k-means of `clusters`
/// means, each superpixel given to the mean it is nearest to, connected parts of at least 1/300 of the picture. The same for the same
/// draws.
LabelMap token_segments(const Dino& net, const Image& picture, Random& random, int clusters = 8);

}  // namespace finpercep
