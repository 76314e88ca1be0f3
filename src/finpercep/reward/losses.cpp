// SPDX-License-Identifier: Apache-2.0
#include "finpercep/reward/losses.h"

namespace finpercep {

namespace {

at::Tensor mean_where(const at::Tensor& values, const at::Tensor& applies) { return (values * applies).sum() / applies.sum().clamp_min(1); }

}  // namespace

at::Tensor map_loss(const at::Tensor& map, const at::Tensor& label, double balance) {
  const at::Tensor error = (map - label).abs();
  const at::Tensor plain = error.mean();
  if (balance == 0) return plain;
  const at::Tensor defect = (label > 0.05).to(at::kFloat), clean = 1 - defect;
  const std::vector<int64_t> dims = {1, 2, 3};
  const at::Tensor defects = defect.sum(dims), cleans = clean.sum(dims);
  const at::Tensor both = ((error * defect).sum(dims) / defects.clamp_min(1) + (error * clean).sum(dims) / cleans.clamp_min(1)) /
                          ((defects > 0).to(at::kFloat) + (cleans > 0).to(at::kFloat));
  return (1 - balance) * plain + balance * both.mean();
}

at::Tensor map_cross_entropy(const at::Tensor& logits, const at::Tensor& label) {
  return at::binary_cross_entropy_with_logits(logits, label);
}

at::Tensor rank_loss(const at::Tensor& score_sr, const at::Tensor& score_syn, const at::Tensor& score_gt, const at::Tensor& syn_above_sr,
                     const at::Tensor& gt_above_syn, double margin1, double margin2) {
  return mean_where((margin1 - (score_syn - score_sr)).clamp_min(0), syn_above_sr) +
         mean_where((margin2 - (score_gt - score_syn)).clamp_min(0), gt_above_syn);
}

at::Tensor align_loss(const at::Tensor& score_gt, const at::Tensor& base_score_gt) { return (score_gt - base_score_gt).abs().mean(); }

at::Tensor opinion_of(const at::Tensor& share) { return 0.95 - 0.9 * share.clamp_max(1); }

at::Tensor pseudo_opinion(const at::Tensor& label) { return opinion_of(label.mean({1, 2, 3}) / 0.6); }

}  // namespace finpercep
