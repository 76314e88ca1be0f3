// SPDX-License-Identifier: Apache-2.0
// The three losses of FinPercep-RM as pure functions of tensors. Scores: N, in [0,1]. Maps: N x 1 x H x W. `counts`: as maps, how much a
// pixel counts, 0 where its label is not known.
#pragma once
#include <torch/types.h>

namespace finpercep {

/// L_map = || M - M_gt ||_1 (mean). Sparse labels make plain L1 collapse to the median, zero: pixels are weighted so that defect (label >
/// .05) and clean pixels count alike in a picture that has both, mixed with the plain mean by `balance` in [0,1]; 0 is the paper's form.
at::Tensor map_loss(const at::Tensor& map, const at::Tensor& label, const at::Tensor& counts, double balance);

/// Cross-entropy of the logits with the soft label. L1 through a sigmoid has no gradient left once a map has collapsed to zero, which it
/// does on sparse labels; this has.
at::Tensor map_cross_entropy(const at::Tensor& logits, const at::Tensor& label, const at::Tensor& counts);

/// 1 - Pearson's correlation of map and label over a picture's pixels, averaged over the pictures whose label varies (standard deviation
/// above .02): which places are worse, whatever the map's level. 0 where no picture's does. A map that varies by less than .01 counts as if
/// it varied by that.
at::Tensor map_correlation_loss(const at::Tensor& map, const at::Tensor& label, const at::Tensor& counts);

/// L_rank = max(0, m1 - (S_syn - S_SR)) + max(0, m2 - (S_GT - S_syn)), each term averaged over the samples where it applies
/// (`syn_above_sr`, `gt_above_syn`: N, 0 or 1; a whole swap has S_syn = S_SR, a clean swap S_syn = S_GT by construction).
at::Tensor rank_loss(const at::Tensor& score_sr, const at::Tensor& score_syn, const at::Tensor& score_gt, const at::Tensor& syn_above_sr,
                     const at::Tensor& gt_above_syn, double margin1, double margin2);

/// L_align = || S_GT - S_base(I_GT) ||_1.
at::Tensor align_loss(const at::Tensor& score_gt, const at::Tensor& base_score_gt);

/// top - (top - bottom) * min(1, share), top .95 and bottom .05: the opinion of pictures whose degradation is `share` of the worst. Any
/// shape.
at::Tensor opinion_of(const at::Tensor& share);

/// Opinion of a picture by its label map: share = mean(label) / .6. So a calibrated S of .5 says that the mean severity over the picture is
/// .3, and .95 that it has no defect. N.
at::Tensor pseudo_opinion(const at::Tensor& label);
/// The same of I_SR, by the label's mean weighted by the mask (FgrFacts' severity): what it is like outside is not known.
at::Tensor pseudo_opinion(const at::Tensor& label, const at::Tensor& mask);

/// Mean of the values weighted by `applies`, in [0,1]; 0 where it is 0 everywhere.
at::Tensor mean_where(const at::Tensor& values, const at::Tensor& applies);

}  // namespace finpercep
