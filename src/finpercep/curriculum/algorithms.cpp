// SPDX-License-Identifier: Apache-2.0
#include "finpercep/curriculum/algorithms.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "finpercep/base/error.h"
#include "finpercep/generate/flow.h"
#include "finpercep/rl/draft.h"

namespace finpercep {

namespace {

double average(const at::Tensor& t) { return t.detach().mean().item<double>(); }

Rewarded rewarded(const at::Tensor& reward, const at::Tensor& target, const Judgement& judged) {
  const double of_pictures = average(reward), of_photographs = average(target);
  return {of_pictures - of_photographs,
          {{"reward", of_pictures},
           {"reward_gt", of_photographs},
           {"reward_std", reward.size(0) > 1 ? reward.detach().std().item<double>() : 0.0},
           {"score", average(judged.score)},
           {"map_mean", average(judged.map)}}};
}

// Reward of the clean photographs, and the normalisation of scores brought up to date with both.
at::Tensor judge_clean(Players& p, const Judgement& judged, const RlBatch& batch, const RlSettings& s) {
  at::NoGradGuard no_grad;
  const Judgement clean = judge_exactly(*p.reward, batch.gt, batch.stage);
  p.running.add(judged.score_logit);
  p.running.add(clean.score_logit);
  return reward_value(clean, p.running, s.signal);
}

at::Tensor prediction_of(const Generator& generator, const at::Tensor& x_t, const at::Tensor& y, int64_t t) {
  at::NoGradGuard no_grad;
  return generator.predict(x_t, y, t);
}

// --- by the reward's gradient

Episode differentiate(Players& p, const RlBatch& batch, const RlSettings& s, const Prediction& prediction, int64_t t) {
  const at::Tensor sr = as_file(prediction.x0);
  at::Tensor seen = sr;
  if (s.credit.spatial) {
    at::NoGradGuard no_grad;
    const at::Tensor weight = defect_weight(judge_exactly(*p.reward, sr, batch.stage).map, s.credit.cell, s.credit.focus);
    at::AutoGradMode grad(true);
    seen = weigh_gradient(sr, weight);
  }
  const Judgement judged = judge_exactly(*p.reward, seen, batch.stage);
  const at::Tensor target = judge_clean(p, judged, batch, s);
  const at::Tensor reward = reward_value(judged, p.running, s.signal);
  const Term term{refl_loss(reward, target), prediction.x_t, batch.y, prediction.x0, t};
  return {.term = [term](int64_t, int64_t) { return term; }, .sr = sr.detach(), .reward = rewarded(reward, target, judged)};
}

Episode refl(Players& p, const RlBatch& batch, const RlSettings& s) {
  return differentiate(p, batch, s, refl_prediction(*p.generator, batch.y, batch.noise, batch.t), batch.t);
}

Episode draft(Players& p, const RlBatch& batch, const RlSettings& s) {
  return differentiate(p, batch, s, draft_prediction(*p.generator, batch.y, batch.noise, s.draft.steps), 1);
}

// --- by comparing pictures of one input

// `group_size` pictures of each input, judged: what grpo, awm, nft and dpo learn from.
struct Experience {
  Rollout rollout;
  Advantage advantage;
  Rewarded reward;
  std::map<int64_t, at::Tensor> reference = {};  ///< the frozen policy's predictions at states[t], once made
};

Experience explore(const Generator& policy, Players& p, const RlBatch& batch, const RlSettings& s, double adv_clip) {
  at::NoGradGuard no_grad;
  const at::Tensor y = batch.y.repeat_interleave(s.group_size, 0);
  Random random(static_cast<uint64_t>(s.manual_seed), "explore", batch.index);
  Experience out;
  out.rollout = roll_out_policy(policy, y, draw_policy_noise(policy, random, y.sizes(), y.device()), s.policy);
  const Judgement judged = judge_exactly(*p.reward, as_file(out.rollout.picture()), batch.stage);
  const at::Tensor target = judge_clean(p, judged, batch, s);
  out.advantage = fuse_advantages(reward_parts(judged, p.running, s.signal, s.credit.cells()), s.group_size, adv_clip);
  out.reward = rewarded(reward_value(judged, p.running, s.signal), target, judged);
  return out;
}

Episode learn_from(const std::shared_ptr<Experience>& e, const RlSettings& s, int64_t terms, std::function<Term(int64_t, int64_t)> term) {
  const at::Tensor picture = e->rollout.picture();
  const at::Tensor first =
      picture.view({picture.size(0) / s.group_size, s.group_size, picture.size(1), picture.size(2), picture.size(3)}).select(1, 0);
  return {.terms = terms,
          .term = std::move(term),
          .sr = as_file(first),
          .reward = e->reward,
          .spread = e->advantage.group_std,
          .own = {{"group_std", e->advantage.group_std}, {"zero_groups", e->advantage.zero_share}}};
}

std::vector<int64_t> chosen_steps(const std::vector<int64_t>& given, int64_t first, int64_t last) {
  if (!given.empty()) return given;
  std::vector<int64_t> all(last - first + 1);
  std::iota(all.begin(), all.end(), first);
  return all;
}

Episode grpo(Players& p, const RlBatch& batch, const RlSettings& s) {
  const auto e = std::make_shared<Experience>(explore(*p.generator, p, batch, s, s.grpo.adv_clip));
  const std::vector<int64_t> all = chosen_steps(s.grpo.steps, 2, p.generator->schedule.steps());
  std::vector<int64_t> steps = all;
  if (s.grpo.window > 0) {
    Random random(static_cast<uint64_t>(s.manual_seed), "window", batch.index);
    steps.clear();
    for (int64_t i : random.permutation(static_cast<int64_t>(all.size()))) steps.push_back(all[i]);
    steps.resize(s.grpo.window);
  }
  return learn_from(
      e, s, static_cast<int64_t>(steps.size()), [&p, &s, e, all, steps, batch_index = batch.index](int64_t update, int64_t k) {
        const int64_t t = steps[k], cell = s.credit.cells();
        const Rollout& r = e->rollout;
        Term term{{}, r.states[t], r.y, {}, t};
        const GaussianStep now = step_again(*p.generator, r, t, s.policy, &term.x0);
        const at::Tensor l =
            s.grpo.guard ? guarded_log_ratio(now, r.steps[t], r.states[t - 1], cell) : log_ratio(now, r.steps[t], r.states[t - 1], cell);
        const GrpoLoss loss = grpo_loss(l, e->advantage, s.grpo.clip);
        const double weight = s.grpo.guard ? guard_weight(p.generator->schedule, t, all, s.policy) : 1;
        at::Tensor& reference = e->reference[t];  // the states stay while the policy moves
        if (!reference.defined()) reference = prediction_of(*p.reference, r.states[t], r.y, t);
        term.x0_reference = reference;
        const at::Tensor kl =
            step_divergence(now, policy_step(p.generator->schedule, r.states[t], r.y, term.x0_reference, t, s.policy)).mean();
        term.loss = weight * loss.loss + s.grpo.kl_beta * kl;
        term.metrics = {{"ratio", loss.ratio_mean}, {"clip_fraction", loss.clip_fraction}, {"kl", average(kl)}};
        // Exactly 1, or the step that is learned from is not the one that was drawn (another precision, another kernel).
        if (update == 0) term.metrics.emplace_back("ratio_first", loss.ratio_mean);
        if (update == 0 && batch_index == 0 && std::abs(loss.ratio_mean - 1) > 1e-5)
          throw model_error(
              fmt::format("grpo: expected a ratio of 1 before the first update, found {}: the net answers otherwise when asked again. "
                          "use dtype=fp32",
                          loss.ratio_mean));
        return term;
      });
}

// A picture noised to a step that is drawn for each update, with one noise for the pictures of a group: they are compared there.
struct Noised {
  int64_t t;
  at::Tensor x_t;
};
Noised noised(const Generator& generator, const Rollout& r, const std::vector<int64_t>& steps, const RlBatch& batch, const RlSettings& s,
              int64_t update) {
  Random random(static_cast<uint64_t>(s.manual_seed), "noised", batch.index * 1024 + static_cast<uint64_t>(update));
  const int64_t t = steps[random.integer(0, static_cast<int64_t>(steps.size()) - 1)];
  const at::Tensor noise = normal_tensor(random, batch.y.sizes(), r.y.device()).repeat_interleave(s.group_size, 0);
  return {t, diffuse(generator.schedule, r.picture(), r.y, noise, at::full({r.y.size(0)}, t, at::kLong))};
}

Episode awm(Players& p, const RlBatch& batch, const RlSettings& s) {
  const auto e = std::make_shared<Experience>(explore(*p.generator, p, batch, s, s.awm.adv_clip));
  const auto steps = chosen_steps(s.awm.steps, 1, p.generator->schedule.steps());
  return learn_from(e, s, 1, [&p, &s, e, steps, batch](int64_t update, int64_t) {
    const auto [t, x_t] = noised(*p.generator, e->rollout, steps, batch, s, update);
    Term term{{}, x_t, e->rollout.y, p.generator->predict(x_t, e->rollout.y, t), t};
    term.loss = awm_loss(e->rollout.picture(), term.x0, e->advantage, s.credit.cells());
    return term;
  });
}

Episode nft(Players& p, const RlBatch& batch, const RlSettings& s) {
  const auto e = std::make_shared<Experience>(explore(*p.old, p, batch, s, s.nft.adv_clip));
  const auto steps = chosen_steps(s.nft.steps, 1, p.generator->schedule.steps());
  return learn_from(e, s, 1, [&p, &s, e, steps, batch](int64_t update, int64_t) {
    const auto [t, x_t] = noised(*p.generator, e->rollout, steps, batch, s, update);
    const at::Tensor& y = e->rollout.y;
    Term term{{}, x_t, y, p.generator->predict(x_t, y, t), t};
    const at::Tensor f_old = prediction_of(*p.old, x_t, y, t);
    term.x0_reference = prediction_of(*p.reference, x_t, y, t);
    const double now = p.generator->schedule.eta[t];  // the distance of two v is that of their x0 over t
    const at::Tensor kl = (term.x0 - term.x0_reference).square().mean() / (p.generator->schedule.flow ? now * now : 1.0);
    term.loss =
        nft_loss(e->rollout.picture(), term.x0, f_old, e->advantage, s.nft.nft_beta, s.nft.adv_clip, s.credit.cells()) + s.nft.kl_beta * kl;
    term.metrics = {{"kl", average(kl)}, {"old_deviation", average((term.x0 - f_old).square())}};
    return term;
  });
}

Episode dpo(Players& p, const RlBatch& batch, const RlSettings& s) {
  constexpr double unclipped = std::numeric_limits<double>::infinity();  // the order of the pictures alone counts
  const auto e = std::make_shared<Experience>(explore(*p.generator, p, batch, s, unclipped));
  const auto steps = chosen_steps(s.dpo.steps, 1, p.generator->schedule.steps());
  const Pairs pairs = best_and_worst(e->advantage, s.group_size, s.dpo.pairs);
  return learn_from(e, s, 1, [&p, &s, e, steps, batch, pairs](int64_t update, int64_t) {
    const auto [t, x_t] = noised(*p.generator, e->rollout, steps, batch, s, update);
    const at::Tensor &y = e->rollout.y, &x0 = e->rollout.picture();
    Term term{{}, x_t, y, p.generator->predict(x_t, y, t), t};
    term.x0_reference = prediction_of(*p.reference, x_t, y, t);
    const at::Tensor error = cell_mean((term.x0 - x0).square(), s.credit.cells()),
                     error_reference = cell_mean((term.x0_reference - x0).square(), s.credit.cells());
    const auto of = [&](const at::Tensor& values, const at::Tensor& index) { return of_pairs(values, index, s.group_size); };
    const DpoLoss loss = dpo_loss(of(error, pairs.winner), of(error_reference, pairs.winner), of(error, pairs.loser),
                                  of(error_reference, pairs.loser), pairs.live, s.dpo.dpo_beta);
    term.loss = loss.loss;
    term.metrics = {{"dpo_loss", average(loss.loss)}, {"accuracy", loss.accuracy}, {"winner", loss.winner}, {"loser", loss.loser}};
    return term;
  });
}

int64_t one_update(const RlSettings&) { return 1; }

constexpr Algorithm table[] = {{"refl", refl, one_update},
                               {"draft", draft, one_update},
                               {"grpo", grpo, [](const RlSettings& s) { return s.grpo.updates; }},
                               {"awm", awm, one_update},
                               {"nft", nft, [](const RlSettings& s) { return s.nft.updates; }},
                               {"dpo", dpo, [](const RlSettings& s) { return s.dpo.updates; }}};

}  // namespace

const std::vector<std::string>& algorithm_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Algorithm& row : table) all.emplace_back(row.name);
    return all;
  }();
  return names;
}

const Algorithm& find_algorithm(const std::string& name) {
  const auto* row = std::ranges::find(table, name, [](const Algorithm& r) { return std::string(r.name); });
  TORCH_CHECK(row != std::end(table), "find_algorithm: no algorithm '", name, "'");
  return *row;
}

}  // namespace finpercep
