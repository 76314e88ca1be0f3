// SPDX-License-Identifier: Apache-2.0
#include "finpercep/curriculum/coevolve.h"

#include "finpercep/degrade/distort.h"
#include "finpercep/image/resize.h"
#include "finpercep/image/tensor.h"

namespace finpercep {

namespace {

// `pictures` with some of them replaced by what is made of the photograph: make(photo, random) calls photo() for it where it makes one, and
// gives an empty picture else. Made ones have 8 bits, as all that the reward sees. `stream` and `iter` key the draws.
template <class Make>
at::Tensor some_replaced(const at::Tensor& pictures, const at::Tensor& gt, const RlSettings& s, const char* stream, uint64_t iter,
                         Make make) {
  at::Tensor mixed = pictures.clone();
  const auto count = static_cast<uint64_t>(pictures.size(0));
  for (uint64_t n = 0; n < count; ++n) {
    Random random(static_cast<uint64_t>(s.manual_seed), stream, iter * count + n);
    const auto i = static_cast<int64_t>(n);
    const Image made = make([&] { return to_image(gt.narrow(0, i, 1).cpu()); }, random);
    if (!made.data.empty()) mixed[i].copy_(to_tensor(rounded_to_bytes(made))[0]);
  }
  return mixed;
}

// A generator under RL drifts, say to smoother pictures, before the reward has seen where to; planted blur, noise and the like keep it from
// liking what lies there.
at::Tensor with_distortions(const at::Tensor& gt, const at::Tensor& sr, const RlSettings& s, uint64_t iter) {
  if (s.coevolve_distort == 0) return sr.contiguous();
  return some_replaced(sr, gt, s, "planted", iter, [&](const auto& photo, Random& random) {
    return random.uniform() < s.coevolve_distort ? plant(photo(), first_distortions, random).picture : Image();
  });
}

// A camera's soft photograph is clean too: without these the reward learns that crisp is natural, and the generator sharpens.
at::Tensor with_variations(const at::Tensor& gt, const RlSettings& s, uint64_t iter) {
  if (s.coevolve_variation.prob == 0) return gt;
  return some_replaced(gt, gt, s, "varied", iter, [&](const auto& photo, Random& random) {
    const std::string kind = draw_variation(s.coevolve_variation, random);
    return kind.empty() ? Image() : vary(photo(), kind, s.coevolve_variation, random);
  });
}

}  // namespace

RewardFacts relabelled(RewardFacts facts, double alpha, const LabelFeatures& features, const std::vector<at::Tensor>& gt,
                       const std::vector<at::Tensor>& sr) {
  at::NoGradGuard no_grad;
  const auto mean_difference = [&](double share) {
    double sum = 0;
    for (std::size_t i = 0; i < gt.size(); ++i)
      sum += raw_difference(features, gt[i], sr[i], at::ones_like(gt[i].narrow(1, 0, 1)), share).mean().item<double>();
    return sum;
  };
  const double before = mean_difference(facts.label_alpha), after = mean_difference(alpha);
  if (before > 0 && after > 0) facts.label_scale *= after / before;
  facts.label_alpha = alpha;
  return facts;
}

StepResult improve_reward(Players& p, const LabelFeatures& features, const RlBatch& batch, const at::Tensor& sr, const RlSettings& s,
                          const Compute& compute, uint64_t iter, double lr) {
  Random random(static_cast<uint64_t>(s.manual_seed), "mask", iter);
  std::vector<Image> masks;
  for (int64_t n = 0; n < sr.size(0); ++n) {
    const std::string& kind = s.masks.kinds[random.integer(0, static_cast<int64_t>(s.masks.kinds.size()) - 1)];
    // One picture in four, whatever the batch, is swapped whole: the reward must see what the generator is judged by.
    const int64_t nth = static_cast<int64_t>(iter) / s.coevolve_freq * sr.size(0) + n;
    masks.push_back(nth % 4 == 0 ? Image(static_cast<int>(sr.size(3)), static_cast<int>(sr.size(2)), 1, 1.0f)
                                 : random_mask(kind, static_cast<int>(sr.size(3)), static_cast<int>(sr.size(2)), s.masks, random));
  }
  FgrBatch fgr{with_variations(batch.gt, s, iter), with_distortions(batch.gt, sr, s, iter), {}, to_batch(masks).to(compute.device), {}};
  fgr.syn = as_file(compose(fgr.gt, fgr.sr, fgr.mask));  // a soft edge's unrounded values would tell that it is one
  RewardLoss loss;
  p.reward->params.require_grad(true);
  {
    const MixedPrecision precision(compute.device, compute.dtype);
    at::Tensor base_score;
    {
      at::NoGradGuard no_grad;
      const auto last = [](const at::Tensor& x) { return x.contiguous(at::MemoryFormat::ChannelsLast); };  // faster for the features
      fgr.label =
          normalize_label(raw_difference(features, last(fgr.gt), last(fgr.syn), fgr.mask, p.facts.label_alpha), p.facts.label_scale);
      base_score = p.base->judge(fgr.gt, 0).score;
    }
    // Of the whole ladder, whichever RM_k pays: trained to k alone, the encoder moves away under the levels above.
    loss = reward_loss(*p.reward, fgr, base_score, p.reward->settings.stage, s.reward_losses);
  }
  loss.total.backward();
  const bool skipped = p.reward_optimiser->step(lr).skipped;
  return {{{"rm_total", loss.total.item<double>()},
           {"rm_map", loss.map},
           {"rm_corr", loss.correlation},
           {"rm_rank", loss.rank},
           {"rm_align", loss.align},
           {"rm_order", loss.order},
           {"rm_skipped", skipped}},
          skipped};
}

}  // namespace finpercep
