// SPDX-License-Identifier: Apache-2.0
#include "finpercep/curriculum/update.h"

#include "finpercep/rl/refl.h"

namespace finpercep {

namespace {

// ReFL's pre-training loss: the supervised one, on states diffused from the photograph or on the chain's own, where L1 alone averages
// detail away.
GeneratorLoss pretrain_loss(const Players& p, const RlBatch& batch, const Term& term, const RlSettings& s) {
  Random random(static_cast<uint64_t>(s.manual_seed), "pretrain", batch.index);
  if (s.pixel_states == "chain")
    return generator_loss(term.x0, batch.gt.repeat_interleave(term.x0.size(0) / batch.gt.size(0), 0), s.losses, p.lpips, random);
  const at::Tensor diffused = diffuse(p.generator->schedule, batch.gt, batch.y, batch.pretrain_noise, batch.pretrain_t);
  return generator_loss(p.generator->predict_each(diffused, batch.y, batch.pretrain_t), batch.gt, s.losses, p.lpips, random);
}

void seed_module(const Generator& generator, const RlBatch& batch, const RlSettings& s) {
  generator.seed_module(Random(static_cast<uint64_t>(s.manual_seed), "module", batch.index).bits());
}

// The k-th of an episode's losses with the anchors, ready for backward().
at::Tensor loss_of(const Players& p, const RlBatch& batch, const Episode& episode, int64_t update, int64_t k, const RlSettings& s,
                   Means& losses, Means& own) {
  const Term term = episode.term(update, k);
  const auto value = [](const at::Tensor& t) { return t.detach().item<double>(); };
  const at::Tensor consistency = lr_consistency(term.x0, term.y, s.lr_block);
  at::Tensor loss = s.reward_weight * term.loss + s.lr_weight * consistency;
  losses.add({{"l_lr", value(consistency)}});
  if (s.reference_weight > 0) {
    at::Tensor x0_reference = term.x0_reference;
    if (!x0_reference.defined()) {
      seed_module(*p.reference, batch, s);
      at::NoGradGuard no_grad;  // answers for the state that the policy is in
      x0_reference = p.reference->predict(term.x_t, term.y, term.t);
    }
    const at::Tensor anchor = reference_anchor(term.x0, x0_reference);
    loss = loss + s.reference_weight * anchor;
    losses.add({{"l_ref", value(anchor)}});
  }
  if (episode.terms > 1) loss = loss / episode.terms;
  if (s.pixel_weight > 0 && k == 0) {
    const GeneratorLoss pretrain = pretrain_loss(p, batch, term, s);
    loss = loss + s.pixel_weight * pretrain.total;
    losses.add(pretrain.parts);
  }
  own.add(term.metrics);
  return loss;
}

}  // namespace

UpdateReport improve_generator(Players& p, const std::vector<RlBatch>& batches, const RlSettings& s, const Compute& compute, double lr) {
  const Algorithm& algorithm = find_algorithm(s.algorithm);
  const int64_t updates = algorithm.updates(s);
  const auto count = static_cast<double>(batches.size());
  p.reward->params.require_grad(false);
  std::vector<Episode> episodes(batches.size());
  Means rewards, losses, own;
  UpdateReport out;
  for (int64_t u = 0; u < updates; ++u) {
    for (std::size_t b = 0; b < batches.size(); ++b) {
      Episode& episode = episodes[b];
      if (u == 0) {
        const MixedPrecision precision(compute.device, compute.dtype);
        seed_module(*p.generator, batches[b], s);
        episode = algorithm.begin(p, batches[b], s);
        out.sr = episode.sr;
        out.learning.gap += episode.reward.gap / count;
        out.learning.group_std += episode.spread / count;
        rewards.add(episode.reward.metrics);
        own.add(episode.own);
      }
      for (int64_t k = 0; k < episode.terms; ++k) {
        at::Tensor loss;
        {
          const MixedPrecision precision(compute.device, compute.dtype);
          loss = loss_of(p, batches[b], episode, u, k, s, losses, own);
        }
        (batches.size() > 1 ? loss / count : loss).backward();
      }
      if (u + 1 == updates) episode = {};  // a graph is held no longer than its batch
    }
    if (p.lora) p.lora->take_gradients();
    const double norm = gradient_norm(p.trained.all());
    out.learning.grad_norm += norm / static_cast<double>(updates);
    if (p.guard.refuses(norm)) {
      p.generator_optimiser->zero_grad();
      out.guarded = true;
    } else {
      out.skipped = p.generator_optimiser->step(lr).skipped || out.skipped;
    }
    if (p.lora) p.lora->apply();
    update_ema(p.ema, p.trained.all(), s.ema_decay);
    ++p.updates;
  }
  if (p.old) update_ema(p.old->params.all(), p.generator->params.all(), old_policy_decay(p.updates, s.nft));
  out.metrics = rewards.means();
  for (const Metrics& more :
       {losses.means(), Metrics{{"grad_norm", out.learning.grad_norm}, {"stage", static_cast<double>(batches.front().stage)}}, own.means()})
    out.metrics.insert(out.metrics.end(), more.begin(), more.end());
  return out;
}

}  // namespace finpercep
