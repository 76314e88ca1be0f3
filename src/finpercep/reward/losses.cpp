// SPDX-License-Identifier: Apache-2.0
#include "finpercep/reward/losses.h"

namespace finpercep {

namespace {

const std::vector<int64_t> pixels = {1, 2, 3};

}  // namespace

at::Tensor mean_where(const at::Tensor& values, const at::Tensor& applies) { return (values * applies).sum() / applies.sum().clamp_min(1); }

at::Tensor map_loss(const at::Tensor& map, const at::Tensor& label, const at::Tensor& counts, double balance) {
  const at::Tensor error = (map - label).abs();
  const at::Tensor plain = mean_where(error, counts);
  if (balance == 0) return plain;
  const at::Tensor is_defect = (label > 0.05).to(at::kFloat), defect = is_defect * counts, clean = (1 - is_defect) * counts;
  const at::Tensor defects = defect.sum(pixels), cleans = clean.sum(pixels);
  const at::Tensor both = (error * defect).sum(pixels) / defects.clamp_min(1) + (error * clean).sum(pixels) / cleans.clamp_min(1);
  const at::Tensor kinds = (defects > 0).to(at::kFloat) + (cleans > 0).to(at::kFloat);
  return (1 - balance) * plain + balance * mean_where(both / kinds.clamp_min(1), (kinds > 0).to(at::kFloat));
}

at::Tensor map_cross_entropy(const at::Tensor& logits, const at::Tensor& label, const at::Tensor& counts) {
  return mean_where(at::binary_cross_entropy_with_logits(logits, label, {}, {}, at::Reduction::None), counts);
}

at::Tensor map_correlation_loss(const at::Tensor& map, const at::Tensor& label, const at::Tensor& counts) {
  const at::Tensor total = counts.sum(pixels, true).clamp_min(1);
  const auto mean = [&](const at::Tensor& values) { return (values * counts).sum(pixels, true) / total; };
  const at::Tensor x = map - mean(map), y = label - mean(label), spread = mean(y * y);
  // A map that hardly varies yet, as a newborn level's, is taken to vary by .01: its gradient would be a thousand times that of a grown
  // one.
  const at::Tensor correlation = mean(x * y) / (mean(x * x).clamp_min(0.01 * 0.01) * spread + 1e-8).sqrt();
  return mean_where(1 - correlation, (spread > 0.02 * 0.02).to(at::kFloat));
}

at::Tensor rank_loss(const at::Tensor& score_sr, const at::Tensor& score_syn, const at::Tensor& score_gt, const at::Tensor& syn_above_sr,
                     const at::Tensor& gt_above_syn, double margin1, double margin2) {
  return mean_where((margin1 - (score_syn - score_sr)).clamp_min(0), syn_above_sr) +
         mean_where((margin2 - (score_gt - score_syn)).clamp_min(0), gt_above_syn);
}

at::Tensor align_loss(const at::Tensor& score_gt, const at::Tensor& base_score_gt) { return (score_gt - base_score_gt).abs().mean(); }

at::Tensor opinion_of(const at::Tensor& share) { return 0.95 - 0.9 * share.clamp_max(1); }

at::Tensor pseudo_opinion(const at::Tensor& label, const at::Tensor& mask) {
  return opinion_of((label * mask).sum(pixels) / mask.sum(pixels).clamp_min(1) / 0.6);
}

at::Tensor pseudo_opinion(const at::Tensor& label) { return opinion_of(label.mean({1, 2, 3}) / 0.6); }

}  // namespace finpercep
