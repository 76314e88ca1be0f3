// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/fgr/shards.h"
#include "finpercep/image/io.h"

namespace finpercep {

namespace {

using Bytes = std::span<const std::byte>;

Image first_channel(const Image& image) {
  Image out(image.width, image.height, 1);
  std::copy_n(image.plane(0), image.plane_size(), out.plane(0));
  return out;
}

}  // namespace

std::vector<EncodedSample> encode_samples(const std::vector<FgrSample>& samples) {
  std::vector<EncodedSample> encoded(samples.size());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const FgrSample& sample = samples[i];
    EncodedSample& out = encoded[i];
    const bool same_gt = i > 0 && sample.gt.data == samples[i - 1].gt.data, same_sr = i > 0 && sample.sr.data == samples[i - 1].sr.data;
    out.gt = same_gt ? encoded[i - 1].gt : encode_webp_lossless(sample.gt);
    out.sr = same_sr ? encoded[i - 1].sr : sample.sr.data == sample.gt.data ? out.gt : encode_webp_lossless(sample.sr);
    out.mask = encode_png(sample.mask);
    out.map = encode_png(sample.label);
    out.json = to_json(sample.facts, hash_of({out.gt, out.sr, out.mask, out.map}));
  }
  return encoded;
}

FgrSample decode_sample(Bytes gt, Bytes sr, Bytes mask, Bytes map, const std::string& json, const std::string& where) {
  std::string hash;
  FgrSample sample;
  sample.facts = facts_from_json(json, where, hash);
  if (hash_of({gt, sr, mask, map}) != hash)
    throw input_error(fmt::format(
        "fgr: {}: the pictures' hash differs from the one in the JSON. the shard is damaged: delete it and build again", where));
  sample.gt = decode_image(gt, where);
  sample.sr = decode_image(sr, where);
  sample.mask = first_channel(decode_image(mask, where));
  sample.label = first_channel(decode_image(map, where));
  for (const Image* image : {&sample.sr, &sample.mask, &sample.label})
    if (image->width != sample.gt.width || image->height != sample.gt.height)
      throw input_error(fmt::format("fgr: {}: expected four pictures of {} x {}, found one of {} x {}. build the shard again", where,
                                    sample.gt.width, sample.gt.height, image->width, image->height));
  return sample;
}

}  // namespace finpercep
