// SPDX-License-Identifier: Apache-2.0
#include "finpercep/reward/objective.h"

#include "finpercep/reward/losses.h"

namespace finpercep {

void RewardLossSettings::visit(SettingsVisitor& v) {
  v.field("map_weight", map_weight, "of L_map", {.min = 0, .max = 1000});
  v.field("cross_entropy_weight", cross_entropy_weight, "of the map's cross-entropy beside L_map; 0 is the paper's form",
          {.min = 0, .max = 1000});
  v.field("correlation_weight", correlation_weight, "of 1 - the correlation of map and label within each picture", {.min = 0, .max = 1000});
  v.field("sr_labels", sr_labels,
          "I_SR is trained on labels too: its map inside the mask, where they hold for it as for I_syn, and, where opinion_weight is above "
          "0, its score by their mean");
  v.field("rank_weight", rank_weight, "of L_rank", {.min = 0, .max = 1000});
  v.field("align_weight", align_weight, "of L_align", {.min = 0, .max = 1000});
  v.field("opinion_weight", opinion_weight,
          "of the regression of S on the teachers' opinion (while RM_0 alone is trained) or the label's (afterwards, for RM_0 too)",
          {.min = 0, .max = 1000});
  v.field("margin1", margin1, "m1, S_syn over S_SR", {.min = 0, .max = 1});
  v.field("margin2", margin2, "m2, S_GT over S_syn", {.min = 0, .max = 1});
  v.field("balance", balance, "0: plain L1 (the paper); 1: defect and clean pixels of a picture count alike", {.min = 0, .max = 1});
}

RewardLoss reward_loss(const RewardModel& model, const FgrBatch& batch, const at::Tensor& base_score_gt, int64_t stage,
                       const RewardLossSettings& settings) {
  const int64_t n = batch.gt.size(0);
  const auto judgements = model.judge_all(at::cat({batch.gt, batch.syn, batch.sr}, 0), stage);
  const at::Tensor severity = batch.label.mean({1, 2, 3});
  const at::Tensor gt_above_syn = (severity > 0.01).to(at::kFloat);
  const at::Tensor swapped = batch.mask.mean({1, 2, 3});
  const at::Tensor syn_above_sr = gt_above_syn * (swapped < 0.9).to(at::kFloat);
  // I_SR differs from the photograph inside the mask as I_syn does; what it does outside, no label says.
  const at::Tensor labels = at::cat({at::zeros_like(batch.label), batch.label, batch.label}, 0);
  const at::Tensor everywhere = at::ones_like(batch.mask),
                   counts = at::cat({everywhere, everywhere, settings.sr_labels ? batch.mask : at::zeros_like(batch.mask)}, 0);

  const at::Tensor opinions = at::cat({pseudo_opinion(batch.label), pseudo_opinion(batch.label, batch.mask)}),
                   counted = at::cat({at::ones_like(severity), settings.sr_labels ? syn_above_sr : at::zeros_like(severity)});

  RewardLoss loss;
  loss.total = at::zeros({}, batch.gt.options());
  for (int64_t k = 0; k <= stage; ++k) {
    const double share = k == stage ? 1.0 : 1.0 / static_cast<double>(stage);
    const Judgement& j = judgements[k];
    const at::Tensor score_gt = j.score.narrow(0, 0, n), score_syn = j.score.narrow(0, n, n), score_sr = j.score.narrow(0, 2 * n, n);
    const at::Tensor rank = rank_loss(score_sr, score_syn, score_gt, syn_above_sr, gt_above_syn, settings.margin1, settings.margin2);
    loss.total = loss.total + share * settings.rank_weight * rank;
    const at::Tensor opinion = mean_where((at::cat({score_syn, score_sr}) - opinions).abs(), counted),
                     align = align_loss(score_gt, base_score_gt);
    loss.total = loss.total + share * (settings.opinion_weight * opinion + settings.align_weight * align);
    if (k > 0) {
      const at::Tensor map = map_loss(j.map, labels, counts, settings.balance);
      loss.total = loss.total + share * settings.map_weight * map;
      if (settings.cross_entropy_weight > 0)
        loss.total = loss.total + share * settings.cross_entropy_weight * map_cross_entropy(j.logits, labels, counts);
      const bool correlated = settings.correlation_weight > 0;
      if (correlated || k == stage) {  // the newest is told, whether it is trained or not
        const at::Tensor correlation = map_correlation_loss(correlated ? j.map : j.map.detach(), labels, counts);
        if (correlated) loss.total = loss.total + share * settings.correlation_weight * correlation;
        if (k == stage) loss.correlation = correlation.item<double>();
      }
      if (k == stage) loss.map = map.item<double>();
    }
    if (k == stage) {
      loss.rank = rank.item<double>();
      loss.align = align.item<double>();
      loss.opinion = opinion.item<double>();
      const at::Tensor ordered =
          ((score_syn > score_sr).to(at::kFloat) + (1 - syn_above_sr)).clamp_max(1) * (score_gt > score_syn).to(at::kFloat) * gt_above_syn;
      loss.order = (ordered.sum() / gt_above_syn.sum()).item<double>();  // 0 / 0: NaN
    }
  }
  return loss;
}

RewardLoss base_loss(const RewardModel& model, const at::Tensor& gt, const at::Tensor& picture, const at::Tensor& opinion,
                     const RewardLossSettings& settings) {
  const int64_t n = gt.size(0);
  const at::Tensor score = model.judge(at::cat({gt, picture}, 0), 0).score, score_gt = score.narrow(0, 0, n),
                   score_picture = score.narrow(0, n, n);
  const at::Tensor best = opinion_of(at::zeros_like(opinion)), worse = (best - opinion > settings.margin2).to(at::kFloat);
  const at::Tensor off = (score_picture - opinion).abs().mean() + (score_gt - best).abs().mean();
  const at::Tensor rank = rank_loss(score_gt, score_picture, score_gt, at::zeros_like(worse), worse, 0, settings.margin2);
  RewardLoss loss;
  loss.total = settings.opinion_weight * off + settings.rank_weight * rank;
  loss.opinion = off.item<double>();
  loss.rank = rank.item<double>();
  loss.order = (((score_gt > score_picture).to(at::kFloat) * worse).sum() / worse.sum()).item<double>();
  return loss;
}

}  // namespace finpercep
