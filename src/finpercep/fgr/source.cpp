// SPDX-License-Identifier: Apache-2.0
#include "finpercep/fgr/source.h"

#include <fmt/format.h>

#include <memory>

#include "finpercep/base/error.h"
#include "finpercep/base/log.h"
#include "finpercep/degrade/distort.h"
#include "finpercep/generate/pictures.h"
#include "finpercep/generate/super_resolver.h"
#include "finpercep/image/resize.h"

namespace finpercep {

namespace {

bool always(int64_t) { return true; }

FgrSource distortions(std::size_t kinds) {
  return {always, [kinds](const SourceRequest& request) -> SourcePicture {
            auto [picture, kind] = plant(request.gt, kinds, Random(request.seed, "distort", request.item));
            return {std::move(picture), "distort:" + kind};
          }};
}

FgrSource generator(const std::string& name, const SourceDegradation& degradation, const Compute& compute) {
  const int64_t scale = degradation.usual.scale;
  return {always,
          [name, degradation, scale, resolver = make_super_resolver(name, {.tile = 0, .compute = compute, .strict = true})](
              const SourceRequest& request) -> SourcePicture {
            Random random(request.seed, "generate", request.item);
            const Image lr = degrade(request.gt, random.chance(degradation.strong_prob) ? degradation.strong : degradation.usual,
                                     Random(request.seed, "degrade", request.item));
            Image sr = resolver(lr, random.bits());
            if (sr.width != request.gt.width)
              throw usage_error(
                  fmt::format("source: {}: expected a generator that enlarges {} times, as degradation.scale says, found {} times", name,
                              scale, sr.width / lr.width));
            return {std::move(sr), name};
          }};
}

// Pictures of whole photographs, cut as the photographs are.
FgrSource folder(const std::string& directory, const PhotoSet& photos) {
  check_names_differ(photos, "source: " + directory);
  auto pictures = std::make_shared<const PictureFolder>(directory);
  int64_t found = 0;
  for (int64_t i = 0; i < photos.size(); ++i) {
    if (!pictures->contains(photos.name(i))) continue;
    const std::string fault = pictures->fault(photos.name(i), photos.width(i), photos.height(i));
    if (!fault.empty()) throw input_error("pictures: " + fault);
    ++found;
  }
  if (found == 0)
    throw input_error(
        fmt::format("source: {}: expected pictures named as the photographs are, found none among {} files", directory, pictures->size()));
  if (found < photos.size())
    log_warning(fmt::format("source: {}: no picture for {} of {} photographs; these need other sources", directory, photos.size() - found,
                            photos.size()));
  return {[pictures, &photos](int64_t photo) { return pictures->contains(photos.name(photo)); },
          [pictures, &photos, directory](const SourceRequest& request) -> SourcePicture {
            const PhotoCrop& c = request.crop;
            const Image square =
                crop(pictures->find(photos.name(c.photo), photos.width(c.photo), photos.height(c.photo)), c.x, c.y, c.size, c.size);
            return {c.mirrored ? flip_horizontal(square) : square, directory};
          }};
}

}  // namespace

std::vector<FgrSource> make_sources(const std::vector<std::string>& names, const PhotoSet& photos, const SourceDegradation& degradation,
                                    const Compute& compute) {
  if (names.empty()) throw usage_error("sources: expected at least one of: a model, a folder, bicubic, distort, distort-all; found none");
  std::vector<FgrSource> sources;
  std::error_code none;
  for (const std::string& name : names) {
    if (name == "clean") throw usage_error("sources: clean: expected another name, this one is for seam controls. write ./clean");
    if (name == "distort") sources.push_back(distortions(first_distortions));
    else if (name == "distort-all") sources.push_back(distortions(distortion_kinds().size()));
    else if (std::filesystem::is_directory(name, none)) sources.push_back(folder(name, photos));
    else sources.push_back(generator(name, degradation, compute));
  }
  return sources;
}

}  // namespace finpercep
