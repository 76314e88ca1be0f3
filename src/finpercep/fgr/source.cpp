// SPDX-License-Identifier: Apache-2.0
#include "finpercep/fgr/source.h"

#include <fmt/format.h>

#include <map>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/log.h"
#include "finpercep/degrade/distort.h"
#include "finpercep/generate/generator.h"
#include "finpercep/image/io.h"
#include "finpercep/image/probe.h"
#include "finpercep/image/resize.h"

namespace finpercep {

namespace {

bool always(int64_t) { return true; }

FgrSource distortions() {
  return {"distort", always, [](const SourceRequest& request) -> SourcePicture {
            Random random(request.seed, "distort", request.item);
            const auto& kinds = distortion_kinds();
            const std::string& kind = kinds[random.integer(0, static_cast<int64_t>(kinds.size()) - 1)];
            const double strength = random.uniform();
            return {distort(request.gt, kind, strength, random), "distort:" + kind};
          }};
}

FgrSource generator(const std::string& name, const SourceDegradation& degradation, const Compute& compute) {
  return {name, always, [name, degradation, resolver = make_super_resolver(name, {.tile = 0, .compute = compute})](const SourceRequest& request) -> SourcePicture {
            Random random(request.seed, "generate", request.item);
            const Image lr = degrade(request.gt, random.chance(degradation.strong_prob) ? degradation.strong : degradation.usual, Random(request.seed, "degrade", request.item));
            return {resolver(lr, random.bits()), name};
          }};
}

// Pictures of whole photographs, cut as the photographs are.
FgrSource folder(const std::string& directory, const PhotoSet& photos) {
  std::map<std::string, std::filesystem::path> by_stem;
  for (const auto& path : list_images({directory})) by_stem[path.stem().string()] = path;
  std::map<int64_t, std::filesystem::path> found;
  for (int64_t i = 0; i < photos.size(); ++i) {
    const auto partner = by_stem.find(photos.name(i));
    if (partner == by_stem.end()) continue;
    const PictureInfo info = probe_image(read_file(partner->second));
    if (info.width != photos.width(i) || info.height != photos.height(i))
      throw input_error(fmt::format("source: {}: expected {} x {} pixels as the photograph has, found {} x {}. give outputs at the photograph's size, and photos.max_side large enough",
                                    partner->second.string(), photos.width(i), photos.height(i), info.width, info.height));
    found.emplace(i, partner->second);
  }
  if (found.empty()) throw input_error(fmt::format("source: {}: expected pictures named as the photographs are, found none among {} files", directory, by_stem.size()));
  if (static_cast<int64_t>(found.size()) < photos.size())
    log_warning(fmt::format("source: {}: no picture for {} of {} photographs; they take other sources", directory, photos.size() - static_cast<int64_t>(found.size()), photos.size()));
  const auto has = [found](int64_t photo) { return found.contains(photo); };
  return {directory, has, [found, directory](const SourceRequest& request) -> SourcePicture {
            const PhotoCrop& c = request.crop;
            const Image square = crop(read_image(found.at(c.photo)), c.x, c.y, c.size, c.size);
            return {c.mirrored ? flip_horizontal(square) : square, directory};
          }};
}

}  // namespace

std::vector<FgrSource> make_sources(const std::vector<std::string>& names, const PhotoSet& photos, const SourceDegradation& degradation, const Compute& compute) {
  if (names.empty()) throw usage_error("sources: expected at least one of: a model, a folder, bicubic, distort; found none");
  std::vector<FgrSource> sources;
  for (const std::string& name : names) {
    if (name == "distort") sources.push_back(distortions());
    else if (std::filesystem::is_directory(name)) sources.push_back(folder(name, photos));
    else sources.push_back(generator(name, degradation, compute));
  }
  return sources;
}

}  // namespace finpercep
