// SPDX-License-Identifier: Apache-2.0
// Who makes I_SR of a clean crop: generators from its degraded form, planted distortions, folders of pictures made elsewhere.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "finpercep/degrade/photos.h"
#include "finpercep/nets/optimise.h"

namespace finpercep {

struct SourcePicture {
  Image image;       ///< of the crop's size
  std::string name;  ///< the source's, for distort with the kind: "distort:jpeg"
};

/// A crop to be restored; `seed` and `item` key every random draw.
struct SourceRequest {
  PhotoCrop crop;
  const Image& gt;
  uint64_t seed = 0, item = 0;
};

struct FgrSource {
  std::function<bool(int64_t photo)> has;  ///< false where a folder has no picture of that photograph
  std::function<SourcePicture(const SourceRequest&)> make;
};

/// How the crops are degraded that generators restore.
struct SourceDegradation {
  DegradeSettings usual, strong;
  double strong_prob = 0;
};

/// One source a name: "distort" (a planted distortion of the clean crop, of the ten kinds that FGR-30k has), "distort-all" (of all kinds),
/// a folder (pictures of the photographs' stems and sizes, made elsewhere), or whatever make_super_resolver() knows, which is given the
/// crop degraded anew for each request. input_error for a folder that has no partner of any photograph or one of another size. `photos`
/// must outlive what is returned.
std::vector<FgrSource> make_sources(const std::vector<std::string>& names, const PhotoSet& photos, const SourceDegradation& degradation,
                                    const Compute& compute);

}  // namespace finpercep
