// SPDX-License-Identifier: Apache-2.0
#include "finpercep/generate/held_out.h"

#include <fmt/format.h>

#include "finpercep/base/error.h"
#include "finpercep/base/log.h"
#include "finpercep/image/resize.h"

namespace finpercep {

void ValSettings::visit(SettingsVisitor& v) {
  v.field("val_count", count, "held-out photographs", {.min = 0, .max = 1e6});
  v.field("val_size", size, "side of the held-out centre crops, pixels", {.min = 32, .max = 4096});
  v.group("val_photos", photos, "held-out photographs; none are measured where this is empty");
}

HeldOut::HeldOut(const ValSettings& settings, const DegradeSettings& degradation, const Compute& compute)
    : metrics_({"psnry", "ssim", "lpips"}, {.device = compute.device.str()}), options_{.tile = 0, .compute = compute} {
  const int size = static_cast<int>(settings.size);
  pairs_ = centre_pairs(PhotoSet(settings.photos, size, settings.count), settings.count, size, degradation, 0, "held-out");
}

std::vector<Image> HeldOut::pictures(const Generator& generator, int64_t count) const {
  std::vector<Image> pictures;
  for (std::size_t i = 0; i < pairs_.size() && static_cast<int64_t>(i) < count; ++i)
    pictures.push_back(rounded_to_bytes(upscale(generator, pairs_[i].lr, i, options_)));
  return pictures;
}

Metrics HeldOut::measure(const std::vector<Image>& pictures) const {
  Metrics means;
  for (const std::string& name : metrics_.names()) means.emplace_back(name, 0.0);
  for (std::size_t i = 0; i < pairs_.size(); ++i) {
    const std::vector<double> values = metrics_.compute(pictures.at(i), pairs_[i].gt);
    for (std::size_t m = 0; m < values.size(); ++m) means[m].second += values[m] / static_cast<double>(pairs_.size());
  }
  return means;
}

void check(const ValSettings& settings, const Generator& generator) {
  if (!settings.measures()) return;
  check_side(generator, settings.size, "val_size");
  try {
    photo_files(settings.photos);
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("val_photos: {}", error.what()));
  }
}

std::optional<HeldOut> make_held_out(const ValSettings& settings, const PhotoSettings& training, const DegradeSettings& degradation,
                                     const Compute& compute) {
  if (!settings.measures()) return std::nullopt;
  const auto both = trained_on(settings.photos, training);
  if (!both.empty())
    log_warning(
        fmt::format("val_photos: {} of them are trained on too, e.g. {}: what is measured on them is not held out. name their stems in "
                    "datasets.photos.exclude",
                    both.size(), both.front().string()));
  return HeldOut(settings, degradation, compute);
}

}  // namespace finpercep
