// SPDX-License-Identifier: Apache-2.0
#include "finpercep/generate/policy.h"

#include <doctest/doctest.h>

#include <cmath>
#include <numbers>

#include "finpercep/generate/flow.h"

using namespace finpercep;

namespace {

double value(const at::Tensor& t) { return t.item<double>(); }

at::Tensor normals(uint64_t item, at::IntArrayRef shape) {
  Random random(5, "policy_test", item);
  return normal_tensor(random, shape);
}

// A small net whose output layer is not zero, so that it answers to its weights.
std::unique_ptr<Generator> tiny(const std::string& policy, int64_t steps, double min_noise) {
  GeneratorSettings settings;
  settings.policy = policy;
  settings.net = {.channels = {8, 8}, .blocks = 1, .unshuffle = 2};
  settings.steps = steps;
  settings.min_noise = min_noise;
  auto generator = std::make_unique<Generator>(settings);
  for (std::size_t i = 0; i < generator->params.named().size(); ++i)
    generator->params.named()[i].second.add_(0.05 * normals(100 + i, generator->params.named()[i].second.sizes()));
  return generator;
}

struct Case {
  std::string policy, sampler;
  int64_t steps;
  double min_noise;
};
const Case cases[] = {{"resshift", "", 4, .2}, {"resshift", "", 15, .04}, {"flow", "sde", 8, .2}, {"flow", "cps", 8, .2}};

// Of a picture: the mean over its numbers.
at::Tensor log_prob(const GaussianStep& step, const at::Tensor& x) { return log_density(step, x).flatten(1).mean(1); }

}  // namespace

TEST_CASE("log-probability: the mean of the density's logarithm, by a loop in double") {
  const at::Tensor mean = normals(1, {2, 3, 4, 4}), x = mean + 0.3 * normals(2, {2, 3, 4, 4});
  const GaussianStep step{mean, 0.3};
  const at::Tensor found = log_prob(step, x);
  for (int64_t n = 0; n < 2; ++n) {
    double sum = 0;
    for (int64_t i = 0; i < 48; ++i) {
      const double d = (value(x[n].flatten()[i]) - value(mean[n].flatten()[i])) / 0.3;
      sum += std::log(std::exp(-0.5 * d * d) / (0.3 * std::sqrt(2 * std::numbers::pi)));
    }
    CHECK(value(found[n]) == doctest::Approx(sum / 48).epsilon(1e-5));
  }
  CHECK((found.scalar_type() == at::kFloat));
  CHECK((log_prob({mean.to(at::kBFloat16), 0.3}, x).scalar_type() == at::kFloat));
  CHECK_THROWS_AS(log_prob({mean, 0}, x), c10::Error);
}

TEST_CASE("the gradient of the log-probability is (x - mean) / std^2, and finite differences agree") {
  at::Tensor mean = normals(1, {1, 3, 2, 2}).to(at::kFloat).requires_grad_(true);
  const at::Tensor x = normals(2, {1, 3, 2, 2});
  log_prob({mean, 0.7}, x).sum().backward();
  CHECK(at::allclose(mean.grad(), (x - mean.detach()) / (0.49 * 12), 1e-4, 1e-6));
  const double h = 1e-2;
  at::Tensor up = mean.detach().clone(), down = mean.detach().clone();
  up.view(-1)[5] += h;
  down.view(-1)[5] -= h;
  CHECK((value(log_prob({up, 0.7}, x)) - value(log_prob({down, 0.7}, x))) / (2 * h) ==
        doctest::Approx(value(mean.grad().view(-1)[5])).epsilon(1e-2));
}

TEST_CASE("a rollout keeps its states and steps; every draw is mean + std * noise, and the last step is the picture") {
  for (const Case& c : cases) {
    CAPTURE(c.policy + c.sampler);
    CAPTURE(c.steps);
    const auto generator = tiny(c.policy, c.steps, c.min_noise);
    const PolicySettings settings{.flow_sampler = c.sampler.empty() ? "sde" : c.sampler};
    const at::Tensor y = 0.5 + 0.1 * normals(1, {2, 3, 16, 16});
    Random random(1, "noise");
    const auto noise = draw_policy_noise(*generator, random, y.sizes(), at::kCPU);
    const Rollout rollout = roll_out_policy(*generator, y, noise, settings);
    CHECK(static_cast<int64_t>(rollout.states.size()) == c.steps + 1);
    for (int64_t t = c.steps; t > 1; --t) {
      CHECK(rollout.steps[t].std > 0);
      CHECK(at::equal(rollout.states[t - 1], rollout.steps[t].mean + rollout.steps[t].std * noise[c.steps - t + 1]));
      // Drawn from the policy itself, the log-density is that of a standard normal's energy: -1/2 - log std - log(2 pi)/2 on average.
      const double expected = -0.5 - std::log(rollout.steps[t].std) - 0.5 * std::log(2 * std::numbers::pi);
      CHECK(std::abs(value(log_prob(rollout.steps[t], rollout.states[t - 1]).mean()) - expected) < 0.08);
    }
    CHECK(rollout.steps[1].std == 0);
    CHECK(at::equal(rollout.picture(), generator->predict(rollout.states[1], y, 1)));
    if (c.policy == "resshift") CHECK(at::equal(rollout.picture(), generator->roll_out(y, noise)));
  }
}

TEST_CASE("before the first update the ratio is 1, exactly: with gradient, for every policy, in fp32 and in bf16") {
  for (const Case& c : cases)
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      CAPTURE(c.policy + c.sampler);
      const auto generator = tiny(c.policy, c.steps, c.min_noise);
      generator->params.require_grad(true);
      const PolicySettings settings{.flow_sampler = c.sampler.empty() ? "sde" : c.sampler};
      const at::Tensor y = 0.5 + 0.1 * normals(1, {3, 3, 32, 32});
      Random random(1, "noise");
      const MixedPrecision precision(at::kCPU, dtype);
      const Rollout rollout = roll_out_policy(*generator, y, draw_policy_noise(*generator, random, y.sizes(), at::kCPU), settings);
      for (int64_t t = 2; t <= c.steps; ++t) {
        const GaussianStep now = step_again(*generator, rollout, t, settings);
        // A net that ran without gradients in the same scope of bf16 leaves casts of its weights behind, through which none would come.
        now.mean.mean().backward();
        for (const auto& [name, weight] : generator->params.named()) {
          CAPTURE(name);
          CHECK(weight.grad().defined());
          weight.mutable_grad().reset();
        }
        const at::Tensor ratio = (log_prob(now, rollout.states[t - 1]) - log_prob(rollout.steps[t], rollout.states[t - 1])).exp();
        CHECK(at::equal(ratio, at::ones_like(ratio)));
        CHECK(value(step_divergence(now, rollout.steps[t]).max()) == 0);
      }
    }
}

TEST_CASE(
    "KL of a ResShift step between two policies is alpha_t / (2 kappa^2 eta_t eta_{t-1}) times the squared distance of their predictions") {
  for (const auto& [steps, min_noise] : {std::pair{4, .2}, std::pair{15, .04}}) {
    const ResShiftSchedule schedule = resshift_schedule(steps, 2.0, min_noise);
    const at::Tensor x = normals(1, {1, 3, 4, 4}), y = normals(2, {1, 3, 4, 4}), f = normals(3, {1, 3, 4, 4}), g = normals(4, {1, 3, 4, 4});
    for (int64_t t = 2; t <= steps; ++t) {
      const at::Tensor kl = step_divergence(policy_step(schedule, x, y, f, t, {}), policy_step(schedule, x, y, g, t, {}));
      CHECK(value(kl.sum()) ==
            doctest::Approx(schedule.alpha(t) / (2 * schedule.kappa * schedule.kappa * schedule.eta[t] * schedule.eta[t - 1]) *
                            value((f - g).square().sum()))
                .epsilon(1e-3));
    }
  }
}

TEST_CASE("the flow's steps are those of the samplers it names: golden step from pure noise") {
  ResShiftSchedule schedule = flow_schedule(5, 1);  // steps of .2
  const at::Tensor x = at::ones({1, 1, 1, 1}), y = at::zeros_like(x), x0 = x - .8 * at::full_like(x, -.5);
  const auto is = [&](const PolicySettings& settings, double mean, double std) {
    const GaussianStep step = policy_step(schedule, x, y, x0, 4, settings);
    CHECK(value(step.mean) == doctest::Approx(mean).epsilon(1e-5));
    CHECK(step.std == doctest::Approx(std).epsilon(1e-5));
  };
  is({"sde", .7}, .879500, .626099);
  is({"cps", .7}, .805155, .534604);
}
