// SPDX-License-Identifier: Apache-2.0
#include "finpercep/reward/opinion.h"

#include <algorithm>

#include "finpercep/base/error.h"
#include "finpercep/base/interrupt.h"
#include "finpercep/base/log.h"
#include "finpercep/base/parallel.h"
#include "finpercep/degrade/distort.h"
#include "finpercep/image/resize.h"
#include "finpercep/image/tensor.h"
#include "finpercep/metrics/dists.h"
#include "finpercep/metrics/lpips.h"
#include "finpercep/nets/optimise.h"
#include "finpercep/reward/losses.h"

namespace finpercep {

void OpinionSettings::visit(SettingsVisitor& v) {
  v.field("count", count, "pictures judged by the teachers", {.min = 1, .max = 1e8});
  v.field("size", size, "side of them, pixels", {.min = 32, .max = 2048});
  v.field("sr_share", sr_share, "share of whole SR pictures; the others are planted distortions", {.min = 0, .max = 1});
  v.field("dists_full", dists_full, "DISTS that is as bad as the scale goes", {.min = 0.01, .max = 10});
  v.field("lpips_full", lpips_full, "LPIPS-vgg that is as bad as the scale goes", {.min = 0.01, .max = 10});
}

OpinionSet::Pair OpinionSet::pair(int64_t index) const {
  Random random(seed_, "opinion", static_cast<uint64_t>(index));
  int64_t chosen = random.integer(0, set_.size() - 1);
  // A seam control's I_SR is a clean photograph of somewhere else.
  for (int tries = 0; is_control(set_.facts(chosen)) && tries < 100; ++tries) chosen = random.integer(0, set_.size() - 1);
  const FgrSample sample = set_.sample(chosen);
  const int size = std::min(static_cast<int>(settings_.size), set_.side());
  const int x = static_cast<int>(random.integer(0, sample.gt.width - size)),
            y = static_cast<int>(random.integer(0, sample.gt.height - size));
  Pair pair{crop(sample.gt, x, y, size, size), {}};
  if (random.chance(settings_.sr_share)) {
    pair.picture = crop(sample.sr, x, y, size, size);
  } else {
    const auto& kinds = distortion_kinds();
    const std::string& kind = kinds[random.integer(0, static_cast<int64_t>(kinds.size()) - 1)];
    const double strength = level_strength(static_cast<int>(random.integer(1, distortion_levels)));
    pair.picture = rounded_to_bytes(distort(pair.gt, kind, strength, random));  // as the SR pictures are
  }
  return pair;
}

OpinionSet::OpinionSet(const FgrSet& set, const OpinionSettings& settings, uint64_t seed, at::Device device)
    : set_(set), settings_(settings), seed_(seed), opinions_(settings.count) {
  const Dists dists = Dists::load(device);
  const Lpips lpips = Lpips::load("vgg", device);
  Progress progress("opinions", settings.count);
  parallel_for(settings.count, callers_of(device), [&](int64_t i) {
    stop_if_interrupted("while asking the teachers");
    const OneThread one_thread;
    at::NoGradGuard no_grad;
    const Pair p = pair(i);
    const at::Tensor gt = to_tensor(p.gt).to(device), picture = to_tensor(p.picture).to(device);
    const at::Tensor share = (dists(picture, gt) / settings.dists_full + lpips(picture, gt) / settings.lpips_full) / 2;
    opinions_[i] = opinion_of(share).item<float>();
    progress.advance();
  });
}

OpinionSet::Batch OpinionSet::batch(int64_t batch_size, int64_t iter) const {
  std::vector<Image> gt, pictures;
  std::vector<float> opinions;
  for (int64_t n = 0; n < batch_size; ++n) {
    const int64_t index = (iter * batch_size + n) % size();
    Pair p = pair(index);
    gt.push_back(std::move(p.gt));
    pictures.push_back(std::move(p.picture));
    opinions.push_back(opinions_[index]);
  }
  return {to_batch(gt), to_batch(pictures), at::tensor(opinions)};
}

}  // namespace finpercep
