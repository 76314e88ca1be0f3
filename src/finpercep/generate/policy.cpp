// SPDX-License-Identifier: Apache-2.0
#include "finpercep/generate/policy.h"

#include <cmath>
#include <numbers>

#include "finpercep/generate/flow.h"

namespace finpercep {

void PolicySettings::visit(SettingsVisitor& v) {
  v.choice("flow_sampler", flow_sampler,
           "of a flow's pictures: sde (stochastic, keeps their spread), cps (stochastic, cleaner, less spread) or ode (those that upscale "
           "makes; nft, awm and dpo, which need no probabilities)",
           {"sde", "cps", "ode"});
  v.field("flow_noise", flow_noise, "how much noise a flow's steps add: a of Flow-SDE, eta of CPS", {.min = 0.01, .max = 1});
}

GaussianStep policy_step(const ResShiftSchedule& schedule, const at::Tensor& x_t, const at::Tensor& y, const at::Tensor& x0, int64_t t,
                         const PolicySettings& settings) {
  const at::Tensor guess = x0.to(at::kFloat);
  if (t == 1) return {guess, 0};
  if (!schedule.flow) return {posterior_mean(schedule, x_t, guess, t), posterior_std(schedule, t)};
  const double now = schedule.eta.at(t), next = schedule.eta.at(t - 1);
  const at::Tensor v = flow_velocity(x_t, guess, now);
  if (settings.flow_sampler == "ode") return ode_step(x_t, v, now, next);
  if (settings.flow_sampler == "cps") return cps_step(x_t, v, y, schedule.kappa, now, next, settings.flow_noise);
  return sde_step(x_t, v, y, schedule.kappa, now, next, flow_sde_sigma(settings.flow_noise, now, next));
}

at::Tensor log_density(const GaussianStep& step, const at::Tensor& x) {
  TORCH_CHECK(step.std > 0, "log_density: the last step of a chain is deterministic and has no density");
  const double constant = -std::log(step.std) - 0.5 * std::log(2 * std::numbers::pi);
  return (x.to(at::kFloat) - step.mean.to(at::kFloat)).square() * (-0.5 / (step.std * step.std)) + constant;
}

at::Tensor step_divergence(const GaussianStep& step, const GaussianStep& reference) {
  TORCH_CHECK(step.std > 0 && step.std == reference.std, "step_divergence: expected one deviation > 0, found ", step.std, " and ",
              reference.std);
  return (step.mean.to(at::kFloat) - reference.mean.to(at::kFloat)).square() * (0.5 / (step.std * step.std));
}

std::vector<at::Tensor> draw_policy_noise(const Generator& generator, Random& random, at::IntArrayRef shape, at::Device device) {
  std::vector<at::Tensor> noise;
  for (int64_t k = 0; k < generator.schedule.steps(); ++k) noise.push_back(normal_tensor(random, shape, device));
  return noise;
}

Rollout roll_out_policy(const Generator& generator, const at::Tensor& y, const std::vector<at::Tensor>& noise,
                        const PolicySettings& settings) {
  at::NoGradGuard no_grad;
  const int64_t steps = generator.schedule.steps();
  Rollout rollout{y, std::vector<at::Tensor>(steps + 1), std::vector<GaussianStep>(steps + 1)};
  rollout.states[steps] = y + generator.schedule.noise(steps) * noise.at(0);
  for (int64_t t = steps; t >= 1; --t) {
    rollout.steps[t] = step_again(generator, rollout, t, settings);
    rollout.states[t - 1] = t > 1 ? rollout.steps[t].mean + rollout.steps[t].std * noise.at(steps - t + 1) : rollout.steps[t].mean;
  }
  return rollout;
}

GaussianStep step_again(const Generator& generator, const Rollout& rollout, int64_t t, const PolicySettings& settings, at::Tensor* x0) {
  const at::Tensor guess = generator.predict(rollout.states.at(t), rollout.y, t);
  if (x0) *x0 = guess;
  return policy_step(generator.schedule, rollout.states.at(t), rollout.y, guess, t, settings);
}

}  // namespace finpercep
